"""Damaged Modelfiles never make the readers fail in a way of their own."""

from itertools import islice

from tests.modelkit.lint.mutations import check, mutations


def test_damaged_modelfiles_are_read_checked_mended_and_formatted() -> None:
    for text in islice(mutations(seed=1), 600):
        check(text)
