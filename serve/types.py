"""The seam between what serves HTTP and what runs models: requests, events and the Runner protocol.

Everything here is plain data (msgspec structs), so that a runner may live in another process.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol

import msgspec

from modelkit.errors import ModelkitError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


class InputTooLong(ModelkitError):
    """A text to embed has more tokens than the model's context, and truncation was refused."""

    def __init__(self) -> None:
        super().__init__("the input length exceeds the context length")


class PromptTooLong(ModelkitError):
    """A prompt does not fit the context and may be neither truncated nor shifted."""

    def __init__(self) -> None:
        super().__init__(
            "the prompt is longer than the context length currently available to the model; "
            "shorten the prompt, adjust the context length in settings, or use a model with a "
            "longer context length"
        )


class LoadOptions(msgspec.Struct, frozen=True):
    """How a model is loaded. A change of any of these needs a new runner.

    num_ctx is tokens per sequence; num_thread 0 means one per physical core; num_gpu -1 is
    automatic.
    draft_num_predict is how many tokens may be guessed ahead of the text: None is 4 with a draft
    model and 0 without one; without a draft model, guesses are looked up in the text so far.
    prefix_cache_memory and prefix_cache_disk are bytes for copies of prefixes that left the cache,
    the latter in the folder prefix_cache_dir (empty: none on disk). kv_unified: sequences share one
    pool of cells, and with it equal prefixes; otherwise each has cells of its own, which costs less
    when many are long, and equal prefixes are copied.
    automatic names the fields that nobody asked for: a request takes what a running model has of
    them, and num_ctx, num_batch, num_parallel and prefix_cache_memory among them are lowered when
    memory is short.
    extra_buffers lets llama.cpp repack weights for the CPU, which is faster.
    """

    num_ctx: int = 4096
    num_batch: int = 512
    num_parallel: int = 8
    num_thread: int = 0
    num_gpu: int = -1
    main_gpu: int | None = None
    use_mmap: bool | None = None
    kv_cache_type: str = "f16"
    flash_attention: str = "auto"
    shift: bool = True
    draft_num_predict: int | None = None
    prefix_cache_memory: int = 0
    prefix_cache_dir: str = ""
    prefix_cache_disk: int = 0
    kv_unified: bool = False
    automatic: frozenset[str] = frozenset()
    extra_buffers: bool = True


class ModelFiles(msgspec.Struct, frozen=True):
    """The files of one model, as absolute paths."""

    model: str
    adapters: list[str] = []
    projectors: list[str] = []
    draft: str | None = None


class Sampling(msgspec.Struct):
    """The request options that decide which token comes next and when to stop."""

    num_keep: int = 4
    seed: int = -1
    num_predict: int = -1
    top_k: int = 40
    top_p: float = 0.9
    min_p: float = 0.0
    typical_p: float = 1.0
    repeat_last_n: int = 64
    temperature: float = 0.8
    repeat_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    stop: list[str] = []
    logit_bias: dict[int, float] = {}
    mirostat: int = 0
    mirostat_tau: float = 5.0
    mirostat_eta: float = 0.1
    dry_multiplier: float = 0.0
    dry_base: float = 1.75
    dry_allowed_length: int = 2
    dry_penalty_last_n: int = -1
    dry_sequence_breakers: list[str] = msgspec.field(default_factory=lambda: ["\n", ":", '"', "*"])
    xtc_probability: float = 0.0
    xtc_threshold: float = 0.1
    top_n_sigma: float = -1.0


class Grammar(msgspec.Struct, frozen=True):
    """What an answer must look like; `source` is a JSON schema's text, a regex, a grammar.

    json: any JSON object, `source` is empty.
    """

    kind: Literal["json", "json_schema", "regex", "lark", "gbnf"]
    source: str = ""


class Adapter(msgspec.Struct, frozen=True):
    """A LoRA adapter's file and its strength."""

    path: str
    scale: float = 1.0


class Generation(msgspec.Struct):
    """One request to continue a prompt.

    logprobs: -1 for none, n for the chosen token's and those of the n likeliest.
    truncate: a prompt longer than the context is cut; otherwise PromptTooLong.
    adapters: none means those of the loaded model.
    """

    prompt: str | list[int]
    sampling: Sampling = msgspec.field(default_factory=Sampling)
    add_special: bool = True
    parse_special: bool = True
    logprobs: int = -1
    truncate: bool = True
    grammar: Grammar | None = None
    adapters: list[Adapter] = []


class TopLogprob(msgspec.Struct):
    """One candidate token with its natural-log probability under the unmodified distribution."""

    token: str
    logprob: float
    bytes: list[int]


class TokenLogprob(msgspec.Struct):
    """The sampled token, and the likeliest candidates at its place, best first."""

    token: str
    logprob: float
    bytes: list[int]
    top: list[TopLogprob] = []


class Piece(msgspec.Struct, tag="piece"):
    """Text that will not be taken back: whole characters, no part of a stop string."""

    text: str
    logprobs: list[TokenLogprob] = []


class Finished(msgspec.Struct, tag="finished"):
    """The last event of every generation that did not fail.

    tokens counts the answer's tokens, sampled or forced by a grammar, the end token included;
    context is prompt and answer as tokens, without the end token; durations are nanoseconds;
    cached_tokens of the prompt were known from earlier requests and not read again; dropped_tokens
    of what was submitted did not fit the context and are not among prompt_tokens; stop is the
    stop string that ended the answer.
    """

    reason: Literal["stop", "length"]
    prompt_tokens: int
    prompt_ns: int
    tokens: int
    ns: int
    context: list[int]
    cached_tokens: int = 0
    dropped_tokens: int = 0
    stop: str | None = None


class Embedding(msgspec.Struct, tag="embedding"):
    """Pooled float32 vectors in the order of the inputs, not normalised."""

    vectors: list[list[float]]
    prompt_tokens: int


class LoadedModel(msgspec.Struct, tag="loaded"):
    """What the engine says of the model it loaded.

    n_ctx is tokens per sequence; size_bytes is what the engine allocated or mapped: weights, cache
    and compute buffers; pooling is mean, cls, last or rank, None for a model that only generates.
    """

    architecture: str
    n_ctx: int
    n_ctx_train: int
    n_embd: int
    pooling: str | None
    size_bytes: int
    chat_template: str | None
    bos_token: str
    eos_token: str
    add_bos: bool


class Stats(msgspec.Struct, tag="stats"):
    """What a runner is doing now: sequences running and waiting, tokens decoded ever."""

    active: int
    waiting: int
    decoded: int


class Runner(Protocol):
    """One loaded model. Every method raises EngineError once the model's process is gone."""

    @property
    def info(self) -> LoadedModel: ...

    @property
    def alive(self) -> bool: ...

    @property
    def pid(self) -> int: ...

    def generate(self, request: Generation) -> AsyncGenerator[Piece | Finished, None]:
        """Continue a prompt. Closing the iterator ends the sequence at the next decode step.

        Raises PromptTooLong before the first event.
        """
        ...

    async def embed(self, inputs: list[str], *, truncate: bool = True) -> Embedding:
        """Embed several texts in one batch. Raises InputTooLong when `truncate` is False."""
        ...

    async def rerank(self, query: str, documents: list[str], *, truncate: bool = True) -> Embedding:
        """Score each document against the query: rows of one number each, higher fits better.

        Raises InputTooLong when `truncate` is False, UsageError for a model that does not rank.
        """
        ...

    async def tokenize(
        self, text: str, *, add_special: bool = True, parse_special: bool = True
    ) -> list[int]: ...

    async def detokenize(self, tokens: list[int]) -> str: ...

    async def stats(self) -> Stats: ...

    async def close(self) -> None:
        """End the process; open requests fail with EngineError."""
        ...
