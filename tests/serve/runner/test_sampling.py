"""Sampler chains: the order is llama.cpp's, and what would do nothing is left out."""

from __future__ import annotations

import ctypes
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelkit.errors import UsageError
from modelkit.serve.runner.llama.binding import api
from modelkit.serve.runner.llama.log import Log
from modelkit.serve.runner.llama.model import Model
from modelkit.serve.runner.llama.sampler import SamplerChain
from modelkit.serve.runner.sampling import build_chain
from modelkit.serve.types import Generation, Sampling
from tests.serve.runner.conftest import Start, collect

CONTEXT = 64
PROMPT = [40, 41, 42, 40, 41, 42, 40, 41]


@pytest.fixture(scope="module")
def model(llama: Path) -> Model:
    return Model(str(llama), Log())


def names(chain: SamplerChain) -> list[str]:
    """The samplers of a chain, in order."""
    count = api.llama_sampler_chain_n(chain.pointer)
    parts = [api.llama_sampler_chain_get(chain.pointer, index) for index in range(count)]
    return [api.llama_sampler_name(part).decode() for part in parts]


def chain_of(model: Model, **options: Any) -> list[str]:
    chain = build_chain(Sampling(**options), model, n_ctx=CONTEXT, prompt=PROMPT)
    try:
        return names(chain)
    finally:
        chain.free()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, ["top-k", "top-p", "temp", "dist"]),
        ({"temperature": 0.0}, ["greedy"]),
        ({"temperature": 1e-30, "top_n_sigma": 1.0}, ["greedy"]),
        ({"top_k": 0, "top_p": 1.0, "temperature": 1.0}, ["dist"]),
        ({"repeat_penalty": 1.1, "temperature": 0.0}, ["penalties", "greedy"]),
        ({"repeat_penalty": 1.1, "repeat_last_n": 0, "temperature": 0.0}, ["greedy"]),
        ({"mirostat": 1, "repeat_penalty": 1.1}, ["temp", "mirostat"]),
        ({"mirostat": 2, "logit_bias": {7: 1.0}}, ["logit-bias", "temp", "mirostat-v2"]),
        ({"mirostat": 2, "temperature": 0.0}, ["greedy"]),
        ({"dry_multiplier": 0.8, "dry_base": 0.5, "temperature": 0.0}, ["greedy"]),
        ({"dry_multiplier": 0.8, "dry_penalty_last_n": 0, "temperature": 0.0}, ["greedy"]),
        ({"xtc_probability": 0.5, "xtc_threshold": 0.6, "temperature": 0.0}, ["greedy"]),
        (
            {"xtc_probability": 0.5, "temperature": 0.0, "top_k": 0, "top_p": 1.0},
            ["xtc", "temp", "dist"],
        ),
        (
            {
                "logit_bias": {7: 1.0},
                "presence_penalty": 0.1,
                "dry_multiplier": 0.8,
                "top_n_sigma": 1.0,
                "typical_p": 0.9,
                "min_p": 0.1,
                "xtc_probability": 0.1,
            },
            [
                *("logit-bias", "penalties", "dry", "top-n-sigma", "top-k", "typical"),
                *("top-p", "min-p", "xtc", "temp", "dist"),
            ],
        ),
    ],
)
def test_a_chain_has_what_it_needs_in_llama_cpps_order(
    model: Model, options: dict[str, Any], expected: list[str]
) -> None:
    assert chain_of(model, **options) == expected


def test_a_bias_on_an_unknown_token_is_refused(model: Model) -> None:
    with pytest.raises(UsageError, match="token 99999 is not in"):
        chain_of(model, logit_bias={99999: 1.0})


def test_windows_are_no_longer_than_the_context(model: Model) -> None:
    # Either would have llama.cpp allocate 8 GB.
    endless = 2**31 - 1
    assert chain_of(model, repeat_penalty=1.1, repeat_last_n=endless, temperature=0.0)
    assert chain_of(model, dry_multiplier=1.0, dry_penalty_last_n=endless, temperature=0.0)


# ---- Against a chain with every sampler in it ----


@dataclasses.dataclass
class Full:
    """What llama.cpp's common_sampler_init makes of options: all its samplers, idle or not."""

    model: Model
    sampling: Sampling

    def build(self) -> SamplerChain:
        chain, s = SamplerChain(), self.sampling
        seed = s.seed & 0xFFFFFFFF
        chain.add_logit_bias(self.model.n_vocab, s.logit_bias)
        if s.mirostat:
            chain.add("temp", s.temperature)
            tau, eta = s.mirostat_tau, s.mirostat_eta
            if s.mirostat == 1:
                chain.add("mirostat", self.model.n_vocab, seed, tau, eta, 100)
            else:
                chain.add("mirostat_v2", seed, tau, eta)
            return chain
        self._penalties(chain)
        chain.add("top_n_sigma", s.top_n_sigma)
        chain.add("top_k", s.top_k)
        chain.add("typical", s.typical_p, 1)
        chain.add("top_p", s.top_p, 1)
        chain.add("min_p", s.min_p, 1)
        chain.add("xtc", s.xtc_probability, s.xtc_threshold, 1, seed)
        chain.add("temp_ext", s.temperature, 0.0, 1.0)
        chain.add("dist", seed)
        for token in PROMPT:
            chain.accept(token)
        return chain

    def _penalties(self, chain: SamplerChain) -> None:
        s = self.sampling
        penalties = (s.repeat_penalty, s.frequency_penalty, s.presence_penalty)
        last_n = CONTEXT if s.repeat_last_n < 0 else s.repeat_last_n
        chain.add("penalties", self.model.n_vocab, last_n, *penalties)
        chain.add_dry(
            self.model.vocabulary_address,
            multiplier=s.dry_multiplier,
            base=s.dry_base,
            allowed_length=s.dry_allowed_length,
            last_n=CONTEXT if s.dry_penalty_last_n < 0 else s.dry_penalty_last_n,
            breakers=s.dry_sequence_breakers,
        )


def draw(chain: SamplerChain, seed: int, n_vocab: int) -> Iterator[int]:
    """The tokens a chain chooses from random logits, each accepted before the next."""
    random = np.random.default_rng(seed)
    for _ in range(16):
        candidates = (api.llama_token_data * n_vocab)()
        for token, logit in enumerate(random.normal(0, 4, n_vocab)):
            candidates[token] = api.llama_token_data(token, logit, 0.0)
        pointer = ctypes.cast(candidates, ctypes.POINTER(api.llama_token_data))
        array = api.llama_token_data_array(pointer, n_vocab, -1, False)
        api.llama_sampler_apply(chain.pointer, ctypes.byref(array))
        token = array.data[array.selected].id
        api.llama_sampler_accept(chain.pointer, token)
        yield token


def parts(low: float, high: float) -> st.SearchStrategy[float]:
    return st.floats(low, high, width=32)


samplings = st.builds(
    Sampling,
    seed=st.integers(0, 2**31),
    temperature=st.sampled_from([0.5, 1.0, 2.0]),
    top_k=st.sampled_from([0, 1, 5, 40]),
    top_p=st.sampled_from([0.5, 0.9, 1.0]),
    min_p=st.sampled_from([0.0, 0.1]),
    typical_p=st.sampled_from([0.5, 1.0]),
    repeat_penalty=st.sampled_from([1.0, 1.3]),
    frequency_penalty=st.sampled_from([0.0, 0.5]),
    presence_penalty=st.sampled_from([0.0, -0.5]),
    repeat_last_n=st.sampled_from([-1, 0, 3, 64]),
    logit_bias=st.dictionaries(st.integers(0, 300), parts(-10, 10), max_size=3),
    mirostat=st.sampled_from([0, 0, 0, 1, 2]),
    dry_multiplier=st.sampled_from([0.0, 0.8]),
    dry_allowed_length=st.integers(0, 3),
    dry_penalty_last_n=st.sampled_from([-1, 0, 5]),
    xtc_probability=st.sampled_from([0.0, 0.5]),
    xtc_threshold=st.sampled_from([0.05, 0.3, 0.6]),
    top_n_sigma=st.sampled_from([-1.0, 0.5, 1.5]),
)


@settings(max_examples=60, deadline=None)
@given(samplings, st.integers(0, 1000))
def test_tokens_are_those_of_the_full_chain(model: Model, sampling: Sampling, seed: int) -> None:
    lean = build_chain(sampling, model, n_ctx=CONTEXT, prompt=PROMPT)
    full = Full(model, sampling).build()
    try:
        assert list(draw(lean, seed, model.n_vocab)) == list(draw(full, seed, model.n_vocab))
    finally:
        lean.free()
        full.free()


# ---- In a runner ----


async def test_a_bias_makes_a_token_certain_or_impossible(start: Start, llama: Path) -> None:
    runner = await start(llama)
    plain, _ = await collect(runner, Generation("ba", Sampling(temperature=0.0, num_predict=1)))
    [usual] = await runner.tokenize(plain, add_special=False)
    other = (await runner.tokenize("ze", add_special=False))[-1]

    async def said(bias: dict[int, float]) -> list[int]:
        sampling = Sampling(temperature=0.0, num_predict=4, logit_bias=bias)
        _, finished = await collect(runner, Generation("ba", sampling))
        return finished.context[-4:]

    assert await said({other: 1000.0}) == [other] * 4
    assert usual not in await said({usual: -1000.0})


@pytest.mark.parametrize(
    "options",
    [
        {"mirostat": 1},
        {"mirostat": 2, "mirostat_tau": 3.0},
        {"xtc_probability": 0.8, "dry_multiplier": 0.8, "top_n_sigma": 1.0},
    ],
)
async def test_a_seed_reproduces_whatever_the_samplers(
    start: Start, llama: Path, options: dict[str, Any]
) -> None:
    runner = await start(llama)

    async def text(seed: int) -> str:
        sampling = Sampling(seed=seed, temperature=1.5, num_predict=24, top_k=0, **options)
        return (await collect(runner, Generation("ba", sampling)))[0]

    assert await text(5) == await text(5)
    assert await text(5) != await text(6)


async def test_dry_does_not_go_on_with_a_repetition(start: Start, llama: Path) -> None:
    runner = await start(llama)
    phrase = "ba be bi bo bu " * 4

    async def next_token(**options: Any) -> int:
        sampling = Sampling(temperature=0.0, num_predict=1, **options)
        _, finished = await collect(runner, Generation(phrase.strip(), sampling))
        return finished.context[-1]

    tokens = await runner.tokenize(phrase.strip(), add_special=False)
    bias = {"logit_bias": {tokens[0]: 50.0}}
    assert await next_token(**bias) == tokens[0]
    assert await next_token(**bias, dry_multiplier=1.0) != tokens[0]
