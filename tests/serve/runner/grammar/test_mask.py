"""Masks on logits."""

from __future__ import annotations

import numpy as np
import pytest

from modelkit.serve.runner.grammar.mask import Mask


@pytest.mark.parametrize("n_vocab", [1, 31, 32, 33, 512, 1001])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 1.0])
def test_forbidden_tokens_become_impossible_and_others_keep_their_logits(
    n_vocab: int, share: float
) -> None:
    random = np.random.default_rng(n_vocab)
    mask = Mask(n_vocab)
    allowed = random.random(mask.bits.size * 32) < share
    mask.bits[:] = np.packbits(allowed, bitorder="little").view(np.uint32)
    logits = random.standard_normal(n_vocab).astype(np.float32)
    expected = np.where(allowed[:n_vocab], logits, -np.inf)
    assert mask.unpack() == np.count_nonzero(allowed[:n_vocab])
    mask.apply(logits)
    np.testing.assert_array_equal(logits, expected)


def test_a_mask_can_be_used_again() -> None:
    mask = Mask(40)
    for token in (3, 39):
        mask.bits[:] = 0
        mask.bits[token // 32] = 1 << token % 32
        assert mask.unpack() == 1
        logits = np.zeros(40, np.float32)
        mask.apply(logits)
        assert np.flatnonzero(logits == 0.0).tolist() == [token]
