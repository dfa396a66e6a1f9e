"""Texts to pooled vectors, pairs of texts to scores: several inputs in one batch."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from modelkit.errors import EngineError, UsageError
from modelkit.serve.runner.frames import Vectors
from modelkit.serve.runner.llama.batch import Batch
from modelkit.serve.runner.llama.context import MAX_SEQUENCES, Context
from modelkit.serve.types import InputTooLong

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelkit.serve.runner.llama.model import Model

_MAX_INPUTS = min(64, MAX_SEQUENCES)


@dataclass
class EmbeddingJob:
    """One embed command: its inputs as tokens, and their vectors as they come."""

    id: int
    inputs: list[list[int]]
    rows: list[bytes] = field(default_factory=list)
    failure: str | None = None
    cancelled: bool = False

    @property
    def done(self) -> bool:
        return len(self.rows) == len(self.inputs)

    @property
    def vectors(self) -> Vectors:
        return Vectors(self.rows, sum(map(len, self.inputs)))


def tokenize_inputs(
    model: Model, inputs: Sequence[str], *, n_ctx: int, truncate: bool
) -> list[list[int]]:
    """The tokens of each text, special ones included and kept when a text is cut to n_ctx.

    Raises InputTooLong when `truncate` is False; UsageError for a text without any token, and for
    a model that only ranks.
    """
    if model.pooling == "rank":
        raise UsageError("a reranking model scores pairs of texts and has no embeddings")
    return [_tokenize(model, text, n_ctx, truncate) for text in inputs]


def tokenize_pairs(
    model: Model, query: str, documents: Sequence[str], *, n_ctx: int, truncate: bool
) -> list[list[int]]:
    """The tokens of the query with each document, the document cut so that both fit n_ctx.

    Raises InputTooLong when they do not fit and `truncate` is False, or when the query alone does
    not; UsageError for a model that does not rank.
    """
    if model.pooling != "rank":
        raise UsageError(f"a {model.architecture} model of this kind cannot rank documents")
    return [_fit_pair(model, query, document, n_ctx, truncate) for document in documents]


def _fit_pair(model: Model, query: str, document: str, n_ctx: int, truncate: bool) -> list[int]:
    tokens = model.tokenize_pair(query, document)
    if len(tokens) <= n_ctx:
        return tokens
    words = model.tokenize(document, add_special=False, parse_special=False)
    kept = len(words) - (len(tokens) - n_ctx)
    if not truncate or kept < 1:
        raise InputTooLong
    # Cut text may be spelt with more tokens than the tokens it was cut from.
    while len(tokens) > n_ctx and kept:
        tokens = model.tokenize_pair(query, model.detokenize(words[:kept]))
        kept -= 1
    if len(tokens) > n_ctx:
        raise InputTooLong
    return tokens


def _tokenize(model: Model, text: str, n_ctx: int, truncate: bool) -> list[int]:
    tokens = model.tokenize(text, add_special=True, parse_special=True)
    if not tokens:
        raise UsageError("an empty text has no embedding: the model adds no token to it")
    if len(tokens) <= n_ctx:
        return tokens
    if not truncate:
        raise InputTooLong
    # An encoder's closing token carries meaning of its own, so the cut is made before it.
    closing = model.tokenize("", add_special=True, parse_special=True)[-1:]
    if closing == tokens[-1:]:
        return [*tokens[: n_ctx - 1], *closing]
    return tokens[:n_ctx]


class _Input(NamedTuple):
    job: EmbeddingJob
    tokens: list[int]


class Embedder:
    """A context of its own for embeddings, so that a model can also generate meanwhile.

    Raises EngineError when there is no memory for the context.
    """

    def __init__(
        self, model: Model, *, n_ctx: int, num_batch: int, threads: int, flash_attention: str
    ) -> None:
        pooling = model.pooling or ("last" if model.generates else "mean")
        # Mean and cls need a text's every token in one go; the last token's vector does not.
        chunked = pooling == "last" and model.generates
        self._capacity = min(n_ctx, num_batch) if chunked else n_ctx
        self._target = min(num_batch, self._capacity)
        self._max_inputs = min(_MAX_INPUTS, self._capacity)
        self._context = Context(
            model,
            n_ctx=n_ctx,
            n_batch=self._capacity,
            n_seq_max=self._max_inputs,
            n_threads=threads,
            flash_attention=flash_attention,
            pooling=pooling,
        )
        self._batch = Batch(self._capacity)
        self._waiting: deque[_Input] = deque()

    @property
    def waiting(self) -> int:
        """Inputs that are not embedded yet."""
        return len(self._waiting)

    def set_adapters(self, adapters: Sequence[tuple[int, float]]) -> None:
        self._context.set_adapters(adapters)

    def submit(self, job: EmbeddingJob) -> None:
        self._waiting.extend(_Input(job, tokens) for tokens in job.inputs)

    def step(self) -> list[EmbeddingJob]:
        """Embed as many inputs as fill one batch; the jobs that are done now, or have failed."""
        inputs = self._take()
        jobs = {input_.job.id: input_.job for input_ in inputs}
        try:
            self._decode(inputs)
            for slot, (job, _) in enumerate(inputs):
                job.rows.append(self._context.pooled(slot))
        except EngineError as error:
            for job in jobs.values():
                job.failure, job.cancelled = error.message, True
            return list(jobs.values())
        finally:
            for slot in range(len(inputs)):
                self._context.remove(slot)
        return [job for job in jobs.values() if job.done]

    def _take(self) -> list[_Input]:
        """The next inputs: one at least, however long, then while they fit the target size."""
        inputs: list[_Input] = []
        size = 0
        while self._waiting and len(inputs) < self._max_inputs:
            tokens = len(self._waiting[0].tokens)
            if inputs and size + tokens > self._target:
                break
            input_ = self._waiting.popleft()
            if not input_.job.cancelled:
                inputs.append(input_)
                size += tokens
        return inputs

    def _decode(self, inputs: list[_Input]) -> None:
        for slot, (_, tokens) in enumerate(inputs):
            for start in range(0, len(tokens), self._capacity):
                if len(self._batch) == self._capacity:
                    self._run()
                part = tokens[start : start + self._capacity]
                self._batch.extend(part, start, slot, output_all=True)
        self._run()

    def _run(self) -> None:
        if len(self._batch):
            self._context.decode(self._batch)
        self._batch.clear()
