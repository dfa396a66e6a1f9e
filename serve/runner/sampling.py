"""From a request's sampling options to llama.cpp's sampler chain, in llama.cpp's own order."""

from __future__ import annotations

import math
import secrets
from typing import TYPE_CHECKING

import numpy as np

from modelkit.serve.runner.llama.sampler import SamplerChain
from modelkit.serve.types import TokenLogprob, TopLogprob

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    from modelkit.serve.runner.llama.model import Model
    from modelkit.serve.types import Sampling


# Dividing logits by less could overflow; there the likeliest token is as good as certain.
_COLDEST = 1e-6
_MIROSTAT_CANDIDATES = 100


def build_chain(
    sampling: Sampling, model: Model, *, n_ctx: int, prompt: Sequence[int]
) -> SamplerChain:
    """A chain for one sequence, in the order of llama.cpp's common_sampler, without idle parts.

    Greedy at temperature 0, a fresh seed when it is -1. Raises UsageError for a bias on a token
    that the vocabulary does not have.
    """
    biases = sampling.logit_bias | dict.fromkeys(model.suppressed(), -math.inf)
    model.check(list(sampling.logit_bias))
    chain, seed = SamplerChain(), _seed(sampling.seed)
    if biases:
        chain.add_logit_bias(model.n_vocab, biases)
    cold = sampling.temperature < _COLDEST
    if sampling.mirostat and not cold:
        _add_mirostat(chain, sampling, model.n_vocab, seed)
        return chain
    window = _add_penalties(chain, sampling, model, n_ctx)
    if cold and not _excludes(sampling):
        chain.add("greedy")
    else:
        _add_choice(chain, sampling, seed)
    for token in prompt[len(prompt) - min(window, len(prompt)) :]:
        chain.accept(token)
    return chain


def _add_mirostat(chain: SamplerChain, sampling: Sampling, n_vocab: int, seed: int) -> None:
    """Mirostat (arXiv:2007.14966) takes the place of all other samplers."""
    chain.add("temp", sampling.temperature)
    goal = (sampling.mirostat_tau, sampling.mirostat_eta)
    if sampling.mirostat == 1:
        chain.add("mirostat", n_vocab, seed, *goal, _MIROSTAT_CANDIDATES)
    else:
        chain.add("mirostat_v2", seed, *goal)


def _add_penalties(chain: SamplerChain, sampling: Sampling, model: Model, n_ctx: int) -> int:
    """What holds against repetition; returns how many earlier tokens it must be told of."""
    window = _window(sampling.repeat_last_n, n_ctx) if _penalises(sampling) else 0
    if window:
        chain.add(
            "penalties",
            *(model.n_vocab, window),
            *(sampling.repeat_penalty, sampling.frequency_penalty, sampling.presence_penalty),
        )
    dry = sampling.dry_multiplier != 0 and sampling.dry_base >= 1
    dry_window = _window(sampling.dry_penalty_last_n, n_ctx) if dry else 0
    if dry_window:
        chain.add_dry(
            model.vocabulary_address,
            multiplier=sampling.dry_multiplier,
            base=sampling.dry_base,
            allowed_length=sampling.dry_allowed_length,
            last_n=dry_window,
            breakers=sampling.dry_sequence_breakers,
        )
    return max(window, dry_window)


def _add_choice(chain: SamplerChain, sampling: Sampling, seed: int) -> None:
    """Narrow the candidates down, then choose among them by chance."""
    if sampling.top_n_sigma > 0:
        chain.add("top_n_sigma", sampling.top_n_sigma)
    if sampling.top_k > 0:
        chain.add("top_k", sampling.top_k)
    if sampling.typical_p < 1:
        chain.add("typical", sampling.typical_p, 1)
    if sampling.top_p < 1:
        chain.add("top_p", sampling.top_p, 1)
    if sampling.min_p > 0:
        chain.add("min_p", sampling.min_p, 1)
    if _excludes(sampling):
        chain.add("xtc", sampling.xtc_probability, sampling.xtc_threshold, 1, seed)
    if sampling.temperature != 1:
        chain.add("temp", 0.0 if sampling.temperature < _COLDEST else sampling.temperature)
    chain.add("dist", seed)


def _window(last_n: int, n_ctx: int) -> int:
    """How many tokens back to look; -1 means the context, and never is it more."""
    return n_ctx if last_n < 0 else min(last_n, n_ctx)


def _penalises(sampling: Sampling) -> bool:
    return (
        sampling.repeat_penalty != 1.0
        or sampling.frequency_penalty != 0.0
        or sampling.presence_penalty != 0.0
    )


def _excludes(sampling: Sampling) -> bool:
    """Whether XTC can leave out the likeliest token: with a threshold over 0.5 it never does."""
    return sampling.xtc_probability > 0 and sampling.xtc_threshold <= 0.5


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
