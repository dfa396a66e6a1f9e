"""The only door to llama.cpp in serve/: a thin typed wrapper over llama_cpp's low-level API.

The binding changes between releases, so every call to it is here; everything above is plain Python.
"""

from __future__ import annotations

import ctypes
import os
import re
import sys
from collections import deque
from typing import TYPE_CHECKING, Any, Literal

import llama_cpp.llama_cpp as api
import numpy as np

from modelkit.errors import EngineError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

CACHE_TYPES = {
    "f32": api.GGML_TYPE_F32,
    "f16": api.GGML_TYPE_F16,
    "bf16": 30,  # GGML_TYPE_BF16: the binding has no name for it
    "q8_0": api.GGML_TYPE_Q8_0,
    "q5_1": api.GGML_TYPE_Q5_1,
    "q5_0": api.GGML_TYPE_Q5_0,
    "q4_1": api.GGML_TYPE_Q4_1,
    "q4_0": api.GGML_TYPE_Q4_0,
    "iq4_nl": api.GGML_TYPE_IQ4_NL,
}
FLASH_ATTENTION = {
    "auto": api.LLAMA_FLASH_ATTN_TYPE_AUTO,
    "on": api.LLAMA_FLASH_ATTN_TYPE_ENABLED,
    "off": api.LLAMA_FLASH_ATTN_TYPE_DISABLED,
}
Pooling = Literal["none", "mean", "cls", "last", "rank"]
POOLING: tuple[Pooling, ...] = ("none", "mean", "cls", "last", "rank")  # by llama.cpp's number
MAX_SEQUENCES: int = api.llama_max_parallel_sequences()

# ggml's own numbers: the binding's comment on them is out of date.
_INFO, _WARN, _ERROR, _CONTINUED = 2, 3, 4, 5
_LETTERS = {_INFO: "I", _WARN: "W", _ERROR: "E"}
_BUFFER_SIZE = re.compile(r"buffer size = +([0-9.]+) MiB")


class Log:
    """llama.cpp's log: errors are remembered, INFO and above go to stderr as `I text`, `E text`."""

    def __init__(self) -> None:
        self.errors: deque[str] = deque(maxlen=20)
        self.buffer_bytes = 0
        self._level = _INFO
        # llama.cpp keeps the bare pointer: the callback must live as long as the process.
        self._callback = api.llama_log_callback(self._receive)
        api.llama_log_set(self._callback, None)

    def _receive(self, level: int, text: bytes, _: object) -> None:
        continued = level == _CONTINUED
        self._level = self._level if continued else level
        if self._level not in _LETTERS:
            return
        line = text.decode("utf-8", "replace")
        prefix = "" if continued else f"{_LETTERS[self._level]} "
        sys.stderr.write(prefix + line)
        if self._level == _ERROR and not continued:
            self.errors.append(line.strip())
        elif size := _BUFFER_SIZE.search(line):
            self.buffer_bytes += int(float(size[1]) * 2**20)

    def reason(self) -> str:
        """The first error since the last call, without llama.cpp's function names."""
        if not self.errors:
            return "llama.cpp gave no reason"
        text = re.sub(r"^\w+: ", "", self.errors[0]).removeprefix("error loading model: ")
        self.errors.clear()
        return " ".join(text.split())


class Model:
    """One GGUF file's weights and vocabulary."""

    def __init__(
        self,
        path: str,
        log: Log,
        *,
        gpu_layers: int = -1,
        main_gpu: int | None = None,
        use_mmap: bool | None = None,
        progress: Callable[[float], None] = lambda _: None,
    ) -> None:
        self.log = log
        params = api.llama_model_default_params()
        params.n_gpu_layers = gpu_layers
        params.main_gpu = main_gpu or 0
        if use_mmap is not None:
            params.load_mode = api.LLAMA_LOAD_MODE_MMAP if use_mmap else api.LLAMA_LOAD_MODE_NONE

        def report(fraction: float, _: object) -> bool:
            progress(fraction)
            return True

        params.progress_callback = callback = api.llama_progress_callback(report)
        api.llama_backend_init()
        self._pointer = api.llama_model_load_from_file(os.fsencode(path), params)
        del callback
        if not self._pointer:
            raise EngineError(f"llama.cpp cannot load {path}: {log.reason()}")
        self._vocab = api.llama_model_get_vocab(self._pointer)
        self.n_vocab: int = api.llama_vocab_n_tokens(self._vocab)
        self.n_ctx_train: int = api.llama_model_n_ctx_train(self._pointer)
        self.n_embd: int = api.llama_model_n_embd_out(self._pointer)
        self.size: int = api.llama_model_size(self._pointer)
        self.architecture = self.metadata("general.architecture") or "unknown"
        self.add_bos: bool = api.llama_vocab_get_add_bos(self._vocab)
        self.bos: int = api.llama_vocab_bos(self._vocab)
        self.eos: int = api.llama_vocab_eos(self._vocab)
        self._pieces: list[bytes | None] = [None] * self.n_vocab
        self._buffer = ctypes.create_string_buffer(256)

    def metadata(self, key: str) -> str | None:
        """A GGUF metadata value as text; None when the file has no such key."""
        buffer = ctypes.create_string_buffer(512)
        length = api.llama_model_meta_val_str(self._pointer, key.encode(), buffer, len(buffer))
        return None if length < 0 else buffer.value.decode("utf-8", "replace")

    @property
    def chat_template(self) -> str | None:
        template: bytes | None = api.llama_model_chat_template(self._pointer, None)
        return None if template is None else template.decode("utf-8", "replace")

    @property
    def generates(self) -> bool:
        """False for encoders, which can only embed."""
        causal = self.metadata(f"{self.architecture}.attention.causal") != "false"
        return causal and not api.llama_model_has_encoder(self._pointer)

    @property
    def pooling(self) -> Pooling | None:
        """How the file says its token vectors become one; None when it does not say."""
        number = int(self.metadata(f"{self.architecture}.pooling_type") or 0)
        return POOLING[number] if 0 < number < len(POOLING) else None

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        """Token ids; raises EngineError if the vocabulary cannot spell the text."""
        raw = text.encode("utf-8", "replace")
        capacity = len(raw) + 8
        buffer = (ctypes.c_int32 * capacity)()
        count = api.llama_tokenize(
            self._vocab, raw, len(raw), buffer, capacity, add_special, parse_special
        )
        if count < 0:
            raise EngineError(f"the model's tokenizer cannot encode a text of {len(raw)} bytes")
        return buffer[:count]

    def detokenize(self, tokens: Sequence[int]) -> str:
        """The text of tokens, special ones included; raises UsageError for unknown tokens."""
        self.check(tokens)
        ids = (ctypes.c_int32 * len(tokens))(*tokens)
        capacity = 16 * len(tokens) + 16
        while True:
            buffer = ctypes.create_string_buffer(capacity)
            count = api.llama_detokenize(
                self._vocab, ids, len(tokens), buffer, capacity, False, True
            )
            if count >= 0:
                return buffer.raw[:count].decode("utf-8", "replace")
            capacity = -count

    def check(self, tokens: Sequence[int]) -> None:
        """Raises UsageError for a token the vocabulary does not have: llama.cpp would abort."""
        for token in tokens:
            if not 0 <= token < self.n_vocab:
                raise UsageError(f"token {token} is not in the model's vocabulary")

    def piece(self, token: int) -> bytes:
        """The bytes of one token, which may be part of a character; special tokens are spelt."""
        piece = self._pieces[token]
        if piece is None:
            size = len(self._buffer)
            count = api.llama_token_to_piece(self._vocab, token, self._buffer, size, 0, True)
            piece = self._pieces[token] = self._buffer.raw[:count] if count > 0 else b""
        return piece

    def spelling(self, token: int) -> str:
        """A special token as text, empty when the vocabulary has none (a negative id)."""
        return self.piece(token).decode("utf-8", "replace") if token >= 0 else ""

    def ends(self, token: int) -> bool:
        """Does this token end a generation?"""
        return bool(api.llama_vocab_is_eog(self._vocab, token))

    def load_adapter(self, path: str) -> int:
        """A LoRA adapter's handle for Context.set_adapters; freed with the model."""
        pointer: int | None = api.llama_adapter_lora_init(self._pointer, os.fsencode(path))
        if not pointer:
            raise EngineError(f"llama.cpp cannot load adapter {path}: {self.log.reason()}")
        return pointer


class Batch:
    """Tokens for one decode call, in buffers that are made once and filled again."""

    def __init__(self, capacity: int) -> None:
        self._tokens = np.zeros(capacity, np.int32)
        self._positions = np.zeros(capacity, np.int32)
        self._sequences = np.zeros(capacity, np.int32)
        self._outputs = np.zeros(capacity, np.int8)
        self._counts = np.ones(capacity, np.int32)
        first = self._sequences.ctypes.data
        self._pointers = np.arange(first, first + 4 * capacity, 4, dtype=np.uint64)
        self.capacity = capacity
        self.raw = api.llama_batch(
            n_tokens=0,
            token=_pointer(self._tokens, ctypes.c_int32),
            pos=_pointer(self._positions, ctypes.c_int32),
            n_seq_id=_pointer(self._counts, ctypes.c_int32),
            seq_id=_pointer(self._pointers, ctypes.POINTER(ctypes.c_int32)),
            logits=_pointer(self._outputs, ctypes.c_int8),
        )
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def clear(self) -> None:
        self._length = 0

    def add(self, token: int, position: int, sequence: int) -> int:
        """Append one token whose logits are wanted; returns its index."""
        index = self._length
        self._tokens[index] = token
        self._positions[index] = position
        self._sequences[index] = sequence
        self._outputs[index] = 1
        self._length = index + 1
        return index

    def extend(
        self, tokens: Sequence[int], position: int, sequence: int, *, output_all: bool = False
    ) -> int:
        """Append a run of tokens that starts at `position`; returns the last one's index."""
        start, stop = self._length, self._length + len(tokens)
        self._tokens[start:stop] = tokens
        self._positions[start:stop] = np.arange(position, position + len(tokens))
        self._sequences[start:stop] = sequence
        self._outputs[start:stop] = output_all
        self._length = stop
        return stop - 1

    def want_output(self, index: int) -> None:
        self._outputs[index] = 1


class Context:
    """The working state over a model: the cache of n_seq_max sequences and the compute buffers."""

    def __init__(
        self,
        model: Model,
        *,
        n_ctx: int,
        n_batch: int,
        n_seq_max: int,
        n_threads: int,
        cache_type: str = "f16",
        flash_attention: str = "auto",
        pooling: Pooling | None = None,
    ) -> None:
        params = api.llama_context_default_params()
        params.n_ctx = n_ctx
        params.n_batch = params.n_ubatch = n_batch
        params.n_seq_max = n_seq_max
        params.n_threads = params.n_threads_batch = n_threads
        params.type_k = params.type_v = CACHE_TYPES[cache_type]
        params.flash_attn_type = FLASH_ATTENTION[flash_attention]
        params.kv_unified = True
        params.embeddings = pooling is not None
        params.pooling_type = POOLING.index(pooling or "none")
        # Without this the logits buffer has a row of the vocabulary for each token of a batch.
        params.n_outputs_max = 0 if pooling else n_seq_max
        self.model = model
        self._pointer = api.llama_init_from_model(model._pointer, params)
        if not self._pointer:
            raise EngineError(f"llama.cpp cannot make a context: {model.log.reason()}")
        self._memory = api.llama_get_memory(self._pointer)
        self._run = api.llama_decode if self._memory else api.llama_encode
        self.can_shift = bool(self._memory) and bool(api.llama_memory_can_shift(self._memory))

    def set_adapters(self, adapters: Sequence[int]) -> None:
        """Apply LoRA adapters at full strength to every following decode."""
        handles = (ctypes.c_void_p * len(adapters))(*adapters)
        scales = (ctypes.c_float * len(adapters))(*[1.0] * len(adapters))
        if api.llama_set_adapters_lora(self._pointer, handles, len(adapters), scales) != 0:
            raise EngineError(f"llama.cpp cannot apply the adapters: {self.model.log.reason()}")

    def decode(self, batch: Batch) -> None:
        """Run one batch; raises EngineError, after which the batch's sequences must be removed."""
        batch.raw.n_tokens = len(batch)
        status = self._run(self._pointer, batch.raw)
        if status == 1:
            raise EngineError("llama.cpp found no room in the cache for the batch")
        if status != 0:
            raise EngineError(f"llama.cpp failed to decode ({status}): {self.model.log.reason()}")

    def remove(self, sequence: int) -> None:
        """Forget everything about a sequence."""
        if self._memory:
            api.llama_memory_seq_rm(self._memory, sequence, -1, -1)

    def shift(self, sequence: int, keep: int, discard: int, end: int) -> None:
        """Drop positions keep..keep+discard and move those up to `end` down into the gap."""
        api.llama_memory_seq_rm(self._memory, sequence, keep, keep + discard)
        api.llama_memory_seq_add(self._memory, sequence, keep + discard, end, -discard)

    def logits(self, index: int) -> npt.NDArray[np.float32]:
        """The logits (n_vocab) of a batch index, valid until the next decode."""
        pointer = api.llama_get_logits_ith(self._pointer, index)
        return np.ctypeslib.as_array(pointer, (self.model.n_vocab,))

    def pooled(self, sequence: int) -> bytes:
        """A sequence's pooled vector: n_embd native float32."""
        pointer = api.llama_get_embeddings_seq(self._pointer, sequence)
        if not pointer:
            raise EngineError("llama.cpp returned no embedding")
        return ctypes.string_at(pointer, 4 * self.model.n_embd)

    def sample(self, chain: SamplerChain, index: int) -> int:
        """Choose and accept a token from the logits of a batch index."""
        token: int = api.llama_sampler_sample(chain.pointer, self._pointer, index)
        return token


class SamplerChain:
    """llama.cpp samplers applied one after the other; belongs to one sequence."""

    def __init__(self) -> None:
        self.pointer = api.llama_sampler_chain_init(api.llama_sampler_chain_default_params())

    def add(self, kind: str, *arguments: float) -> None:
        """Append llama.cpp's sampler `kind` (the name in llama_sampler_init_<kind>)."""
        part = getattr(api, f"llama_sampler_init_{kind}")(*arguments)
        api.llama_sampler_chain_add(self.pointer, part)

    def accept(self, token: int) -> None:
        """Tell the samplers of a token they did not choose, such as one of the prompt."""
        api.llama_sampler_accept(self.pointer, token)

    def free(self) -> None:
        if self.pointer:
            api.llama_sampler_free(self.pointer)
            self.pointer = None


def _pointer(array: npt.NDArray[Any], kind: Any) -> Any:
    return ctypes.cast(array.ctypes.data, ctypes.POINTER(kind))
