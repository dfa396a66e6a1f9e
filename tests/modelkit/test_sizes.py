"""Sizes in bytes as people write them."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelkit.errors import UsageError
from modelkit.sizes import parse_size, size_setting


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("1048576", 1 << 20),
        ("12b", 12),
        ("512MB", 512_000_000),
        ("512MiB", 512 << 20),
        ("2 GiB", 2 << 30),
        ("1.5g", 1_500_000_000),
        ("0.5KiB", 512),
        (" 1tib ", 1 << 40),
        ("3k", 3000),
    ],
)
def test_a_size_is_read_exactly(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "x", "-1", "1e9", "1ib", "1 G B", "1.GB", ".5GB", "٣", "1PB"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="invalid size"):
        parse_size(text)


@given(st.text(alphabet="0123456789.kmgtibKMGTIB -", max_size=12))
def test_no_text_makes_the_parser_fail_in_another_way(text: str) -> None:
    with suppress(UsageError):
        assert parse_size(text) >= 0


def test_a_setting_that_is_no_size_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELKIT_PREFIX_CACHE_MEMORY", "much")
    with pytest.raises(UsageError, match="MODELKIT_PREFIX_CACHE_MEMORY: invalid size 'much'"):
        size_setting("PREFIX_CACHE_MEMORY", 1)


def test_a_setting_that_is_missing_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MODELKIT_PREFIX_CACHE_MEMORY", raising=False)
    monkeypatch.delenv("OLLAMA_PREFIX_CACHE_MEMORY", raising=False)
    assert size_setting("PREFIX_CACHE_MEMORY", 7) == 7
    monkeypatch.setenv("MODELKIT_PREFIX_CACHE_MEMORY", "1KiB")
    assert size_setting("PREFIX_CACHE_MEMORY", 7) == 1024
