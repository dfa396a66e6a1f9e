"""Prompts and sequences that meet the end of the context."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelkit.serve.runner.window import Window
from modelkit.serve.types import PromptTooLong


def _window(n_ctx: int, num_keep: int, prompt: int, *, shifts: bool = True) -> Window:
    return Window.of(n_ctx=n_ctx, num_keep=num_keep, prompt=prompt, add_bos=False, shifts=shifts)


def test_a_long_prompt_keeps_its_head_and_its_tail() -> None:
    assert _window(8, 3, 10).fit(range(10), truncate=True) == [0, 1, 2, 7, 8, 9]


def test_a_cut_prompt_leaves_half_of_what_is_not_kept_free() -> None:
    assert len(_window(4096, 5, 5000).fit(range(5000), truncate=True)) == 2051


def test_a_prompt_that_leaves_one_position_is_not_cut() -> None:
    assert _window(8, 3, 7).fit(range(7), truncate=True) == list(range(7))
    assert len(_window(8, 3, 8).fit(range(8), truncate=True)) == 6


def test_the_added_bos_token_is_kept_too() -> None:
    window = Window.of(n_ctx=8, num_keep=2, prompt=10, add_bos=True, shifts=True)
    assert window.keep == 3


def test_a_negative_num_keep_keeps_all_that_fits() -> None:
    assert _window(8, -1, 10).fit(range(10), truncate=True) == list(range(7))


@pytest.mark.parametrize(("shifts", "truncate"), [(False, True), (True, False)])
def test_a_long_prompt_that_may_not_be_cut_is_refused(shifts: bool, truncate: bool) -> None:
    with pytest.raises(PromptTooLong, match="longer than the context length"):
        _window(8, 3, 8, shifts=shifts).fit(range(8), truncate=truncate)


@given(st.integers(4, 64), st.integers(-1, 100), st.integers(1, 200), st.booleans())
def test_a_fitted_prompt_leaves_room_and_a_shift_makes_room(
    n_ctx: int, num_keep: int, prompt: int, add_bos: bool
) -> None:
    window = Window.of(n_ctx=n_ctx, num_keep=num_keep, prompt=prompt, add_bos=add_bos, shifts=True)
    fitted = window.fit(range(prompt), truncate=True)
    assert 1 <= len(fitted) < n_ctx
    assert fitted == sorted(set(fitted))
    assert fitted[-1] == prompt - 1 or window.keep == n_ctx - 1
    discard = window.discard(n_ctx)
    assert 1 <= discard <= n_ctx - window.keep
