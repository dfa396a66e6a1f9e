"""At temperature 0 without penalties no sampler runs; the choice is llama.cpp's all the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelkit.serve.runner.llama.batch import Batch
from modelkit.serve.runner.llama.binding import api
from modelkit.serve.runner.llama.sampler import SamplerChain
from tests.serve.runner.inside import Inside


def _greedy() -> SamplerChain:
    chain = SamplerChain()
    chain.add("greedy")
    return chain


@pytest.mark.parametrize("tied", [False, True])
def test_the_choice_is_that_of_llama_cpps_sampler(llama: Path, tied: bool) -> None:
    context = Inside(llama).context
    batch = Batch(8)
    batch.extend(range(300, 308), 0, 0)
    batch.want_output(7)
    context.decode(batch)
    if tied:
        logits = context.logits(7)
        logits[[10, 20, 30]] = logits.max() + 1
    chain = _greedy()
    expected = api.llama_sampler_sample(chain.pointer, context._pointer, 7)
    assert context.sample(chain, 7) == expected
    assert not tied or expected == 10
    chain.free()


def test_only_a_chain_of_nothing_else_is_greedy() -> None:
    penalised, biased = SamplerChain(), SamplerChain()
    penalised.add("penalties", 100, 64, 1.1, 0.0, 0.0)
    penalised.add("greedy")
    biased.add_logit_bias(100, {3: 1.0})
    biased.add("greedy")
    assert [chain.is_greedy for chain in (_greedy(), penalised, biased)] == [True, False, False]
