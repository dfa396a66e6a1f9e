"""Choosing among the likeliest tokens is choosing among all of them."""

from __future__ import annotations

import ctypes

import llama_cpp.llama_cpp as api
import numpy as np
import numpy.typing as npt
import pytest

from modelkit.serve.runner.llama.candidates import Candidates
from modelkit.serve.runner.llama.sampler import SamplerChain

_VOCABULARY = 32_003


def _chain(top_k: int, *, seed: int = 5) -> SamplerChain:
    chain = SamplerChain()
    chain.add("top_k", top_k)
    chain.add("top_p", 0.95, 1)
    chain.add("temp", 0.8)
    chain.add("dist", seed)
    return chain


def _from_all(chain: SamplerChain, logits: npt.NDArray[np.float32]) -> int:
    """llama.cpp's way: every token is a candidate."""
    data = (api.llama_token_data * len(logits))()
    for token, logit in enumerate(logits):
        data[token] = api.llama_token_data(token, logit, 0.0)
    array = api.llama_token_data_array(data, len(logits), -1, False)
    api.llama_sampler_apply(chain.pointer, ctypes.byref(array))
    token = int(data[array.selected].id)
    chain.accept(token)
    return token


@pytest.mark.parametrize("top_k", [1, 40, 200])
def test_the_choice_is_that_among_all_tokens(top_k: int) -> None:
    random = np.random.default_rng(top_k)
    candidates = Candidates(_VOCABULARY)
    few, all_ = _chain(top_k), _chain(top_k)
    for spread in (0.1, 1.0, 10.0) * 4:
        logits = (random.standard_normal(_VOCABULARY) * spread).astype(np.float32)
        # The likeliest may be anywhere, in the part after the last whole block too.
        logits[random.integers(_VOCABULARY - 40, _VOCABULARY)] += 5 * spread
        token = candidates.choose(few.pointer, logits, top_k)
        assert token == _from_all(all_, logits)
    few.free()
    all_.free()


def test_forbidden_tokens_are_no_candidates() -> None:
    logits = np.full(_VOCABULARY, -np.inf, np.float32)
    allowed = np.arange(0, _VOCABULARY, 150)
    logits[allowed] = np.random.default_rng(0).standard_normal(len(allowed))
    chain = _chain(40)
    assert Candidates(_VOCABULARY).choose(chain.pointer, logits, 40) in allowed
    chain.free()


@pytest.mark.parametrize(("n_vocab", "top_k"), [(419, 40), (_VOCABULARY, 1000)])
def test_llama_cpp_must_look_itself_where_nothing_is_won(n_vocab: int, top_k: int) -> None:
    logits = np.zeros(n_vocab, np.float32)
    assert Candidates(n_vocab).choose(_chain(top_k).pointer, logits, top_k) is None


def test_too_many_that_are_equally_likely_are_left_to_llama_cpp() -> None:
    logits = np.zeros(_VOCABULARY, np.float32)
    assert Candidates(_VOCABULARY).choose(_chain(40).pointer, logits, 40) is None


def test_a_chain_knows_what_its_first_sampler_leaves() -> None:
    greedy, penalised = SamplerChain(), SamplerChain()
    greedy.add("greedy")
    penalised.add("penalties", 100, 64, 1.1, 0.0, 0.0)
    penalised.add("greedy")
    assert (greedy.is_greedy, penalised.is_greedy) == (True, False)
    assert (_chain(40).top_k, penalised.top_k) == (40, 0)
