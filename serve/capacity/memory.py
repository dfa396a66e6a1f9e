"""How much memory a model will take, computed from its GGUF header before anything is loaded."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from modelkit.gguf import GGUFHeader, read_header
from modelkit.gguf.types import TENSOR_TYPES_BY_NAME

if TYPE_CHECKING:
    from collections.abc import Iterable

    from modelkit.serve.types import LoadOptions, ModelFiles

_CELLS_STEP = 256  # llama.cpp rounds the number of cells of a pool up to this
_F32 = 4
_RUNTIME = 64 << 20  # what a runner has resident before it loads anything
_MAX_LAYERS = 4096  # more are a damaged file's


@dataclass(frozen=True)
class Memory:
    """Bytes of a loaded model: weights (adapters, projectors and a draft model's included), the
    cache of all contexts, the buffers that a step computes in, the copies of prefixes at most, and
    the runner process itself.
    """

    weights: int
    cache: int
    compute: int
    prefixes: int = 0
    runtime: int = _RUNTIME

    @property
    def total(self) -> int:
        return self.weights + self.cache + self.compute + self.prefixes + self.runtime

    def parts(self) -> dict[str, int]:
        """The bytes by name, the total last."""
        return {**asdict(self), "total": self.total}


def estimate(files: ModelFiles, options: LoadOptions) -> Memory:
    """What loading these files with these options will take; raises GGUFError and OSError.

    The cache is exact for llama.cpp's plain and sliding-window caches (it keeps whole contexts for
    the latter too) and an upper bound for recurrent and hybrid models. The compute buffers follow
    what llama.cpp reserves for llamas: up to a third more, never less, in the tests.
    """
    shape = Shape.read(Path(files.model))
    paths = [*files.adapters, *files.projectors]
    weights = shape.weights + sum(Path(path).stat().st_size for path in paths)
    cache, compute = shape.cache(options), shape.compute(options)
    if files.draft:
        draft = Shape.read(Path(files.draft))
        weights += draft.weights
        cache += draft.cache(options)
        compute += draft.compute(options)
    return Memory(weights, cache, compute, options.prefix_cache_memory)


@dataclass(frozen=True)
class Shape:
    """The sizes of a model that decide how much memory it takes.

    key_widths and value_widths are elements per token of each layer's cache; state is bytes of
    recurrent state per sequence; encoders have no cache at all.
    """

    weights: int
    context: int
    width: int
    feed: int
    heads: int
    vocabulary: int
    key_widths: tuple[int, ...]
    value_widths: tuple[int, ...]
    state: int
    encoder: bool

    @classmethod
    def read(cls, path: Path) -> Shape:
        """The shape of a GGUF file, which is read once; raises GGUFError and OSError."""
        file = path.stat()
        return _read(path, file.st_size, file.st_mtime_ns)

    @classmethod
    def of(cls, header: GGUFHeader) -> Shape:
        """The shape that a header (with its arrays, if it has per-layer numbers) describes."""
        facts, tensors = _Facts(header), header.tensors
        keys, values = facts.cache_widths()
        return cls(
            weights=sum(tensor.nbytes for tensor in tensors),
            context=facts.number("context_length"),
            width=facts.number("embedding_length"),
            feed=facts.most("feed_forward_length"),
            heads=facts.most("attention.head_count"),
            vocabulary=max((t.shape[-1] for t in tensors if t.name in _VOCABULARY), default=0),
            key_widths=keys,
            value_widths=values,
            state=facts.recurrent_state(),
            encoder=header.metadata.get(f"{header.architecture}.attention.causal") is False,
        )

    def num_ctx(self, options: LoadOptions) -> int:
        """Tokens of one sequence: what was asked for, within what the model was trained for."""
        return min(options.num_ctx, self.context or options.num_ctx)

    def cache(self, options: LoadOptions) -> int:
        """Bytes of the key-value cache of all sequences, recurrent states included."""
        if self.encoder:
            return 0
        kind = TENSOR_TYPES_BY_NAME.get(options.kv_cache_type.upper(), TENSOR_TYPES_BY_NAME["F16"])
        pools = 1 if options.kv_unified else options.num_parallel
        cells = pools * _round_up(self._pool(options), _CELLS_STEP)
        rows = sum(kind.nbytes(_round_up(width, kind.block)) for width in self._widths())
        return cells * rows + self.state * options.num_parallel

    def compute(self, options: LoadOptions) -> int:
        """Bytes that one step computes in: activations, the attention mask and the logits."""
        num_ctx = self.num_ctx(options)
        tokens = num_ctx if self.encoder else min(options.num_batch, num_ctx)
        cells = num_ctx if self.encoder else self._pool(options)
        activations = tokens * (4 * self.width + 3 * self.feed) * _F32
        logits = 2 * options.num_parallel * self.vocabulary * _F32
        return activations + logits + self._attention(tokens * cells, options)

    def _pool(self, options: LoadOptions) -> int:
        """Tokens that share cells: those of all sequences, or of each alone."""
        return self.num_ctx(options) * (options.num_parallel if options.kv_unified else 1)

    def _attention(self, pairs: int, options: LoadOptions) -> int:
        """The mask, and without flash attention every head's scores, for pairs of tokens."""
        if options.flash_attention == "off":
            return pairs * (self.heads + 1) * _F32
        return pairs * TENSOR_TYPES_BY_NAME["F16"].size

    def _widths(self) -> Iterable[int]:
        return (width for width in (*self.key_widths, *self.value_widths) if width)


@lru_cache(maxsize=64)
def _read(path: Path, size: int, modified: int) -> Shape:
    """The shape of a file that has not changed since: a large vocabulary takes long to skip."""
    header = read_header(path, arrays=False)
    if any(key.endswith(_PER_LAYER) and v is None for key, v in header.metadata.items()):
        header = read_header(path)
    return Shape.of(header)


_PER_LAYER = (".head_count", ".head_count_kv", ".feed_forward_length")
_VOCABULARY = ("token_embd.weight", "output.weight")


class _Facts:
    """A header's numbers for its architecture, under llama.cpp's names for them."""

    def __init__(self, header: GGUFHeader) -> None:
        self._metadata = header.metadata
        self._prefix = header.architecture
        self._layers = min(self.number("block_count"), _MAX_LAYERS)

    def number(self, name: str, default: int = 0) -> int:
        value = self._metadata.get(f"{self._prefix}.{name}", default)
        return value if isinstance(value, int) and value > 0 else default

    def per_layer(self, name: str) -> list[int]:
        """A number for each layer: the file has one for all, or a list."""
        value = self._metadata.get(f"{self._prefix}.{name}")
        if not isinstance(value, list):
            return [self.number(name)] * self._layers
        numbers = [item if isinstance(item, int) and item > 0 else 0 for item in value]
        return (numbers + [0] * self._layers)[: self._layers]

    def most(self, name: str) -> int:
        return max(self.per_layer(name), default=0)

    def cache_widths(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Elements per token in each layer's key cache and value cache."""
        heads = self._cached_heads()
        head = self.number("embedding_length") // (self.most("attention.head_count") or 1)
        key = self.number("attention.key_length", head)
        value = self.number("attention.value_length", head)
        # Multi-head latent attention keeps one compressed vector, from which the values come too.
        if self.number("attention.key_length_mla"):
            value = 0
        return tuple(n * key for n in heads), tuple(n * value for n in heads)

    def _cached_heads(self) -> list[int]:
        """How many key-value heads each layer caches: none in recurrent and sharing layers."""
        name = "attention.head_count_kv"
        given = f"{self._prefix}.{name}" in self._metadata
        heads = self.per_layer(name if given else "attention.head_count")
        # The layers of a draft head are not run; the last of some models use others' caches.
        unused = self.number("nextn_predict_layers") + self.number("attention.shared_kv_layers")
        every = self.number("full_attention_interval", 1)
        last = self._layers - unused
        return [n if i < last and (i + 1) % every == 0 else 0 for i, n in enumerate(heads)]

    def recurrent_state(self) -> int:
        """Bytes of one sequence's recurrent state, as if every layer had one."""
        inner, state = self.number("ssm.inner_size"), self.number("ssm.state_size")
        groups = self.number("ssm.group_count")
        convolution = max(self.number("ssm.conv_kernel") - 1, 0) * (inner + 2 * groups * state)
        wkv = self.number("embedding_length") * self.number("wkv.head_size")
        return self._layers * (convolution + inner * state + wkv) * _F32


def _round_up(value: int, step: int) -> int:
    return -(-value // step) * step
