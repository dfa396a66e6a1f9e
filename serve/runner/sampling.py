"""From a request's sampling options to llama.cpp's sampler chain, in llama.cpp's own order."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import numpy as np

from modelkit.serve.runner.llama.sampler import SamplerChain
from modelkit.serve.types import TokenLogprob, TopLogprob

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    from modelkit.serve.types import Sampling


def build_chain(
    sampling: Sampling, *, n_vocab: int, n_ctx: int, prompt: Sequence[int]
) -> SamplerChain:
    """A chain for one sequence; greedy at temperature 0, a fresh seed when it is -1."""
    chain = SamplerChain()
    window = n_ctx if sampling.repeat_last_n < 0 else sampling.repeat_last_n
    if _penalises(sampling) and window > 0:
        chain.add(
            "penalties",
            *(n_vocab, window),
            *(sampling.repeat_penalty, sampling.frequency_penalty, sampling.presence_penalty),
        )
    if sampling.temperature <= 0:
        chain.add("greedy")
    else:
        chain.add("top_k", sampling.top_k)
        chain.add("typical", sampling.typical_p, 1)
        chain.add("top_p", sampling.top_p, 1)
        chain.add("min_p", sampling.min_p, 1)
        chain.add("temp", sampling.temperature)
        chain.add("dist", _seed(sampling.seed))
    if _penalises(sampling) and window > 0:
        for token in prompt[-window:]:
            chain.accept(token)
    return chain


def _penalises(sampling: Sampling) -> bool:
    return (
        sampling.repeat_penalty != 1.0
        or sampling.frequency_penalty != 0.0
        or sampling.presence_penalty != 0.0
    )


def _seed(seed: int) -> int:
    return secrets.randbits(32) if seed == -1 else seed & 0xFFFFFFFF


def logprobs(
    logits: npt.NDArray[np.float32], token: int, count: int, piece: Callable[[int], bytes]
) -> TokenLogprob:
    """Natural-log probabilities of `token` and the `count` likeliest, before any sampler."""
    peak = float(logits.max())
    total = peak + float(np.log(np.exp(logits - peak, dtype=np.float64).sum()))
    count = min(count, len(logits))
    best = np.argpartition(logits, -count)[-count:] if count else np.empty(0, np.int64)
    best = best[np.lexsort((best, -logits[best]))]
    raw = piece(token)
    return TokenLogprob(
        token=raw.decode("utf-8", "replace"),
        logprob=float(logits[token]) - total,
        bytes=list(raw),
        top=[_candidate(piece(int(index)), float(logits[index]) - total) for index in best],
    )


def _candidate(raw: bytes, logprob: float) -> TopLogprob:
    return TopLogprob(token=raw.decode("utf-8", "replace"), logprob=logprob, bytes=list(raw))
