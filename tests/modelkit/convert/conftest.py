"""Converted models that several tests look at, each made once."""

import functools
from collections.abc import Callable
from pathlib import Path

import pytest

from fixtures.oracle.models import files
from modelkit.convert import convert

Converted = Callable[[str, str], Path]


@pytest.fixture(scope="session")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Converted:
    """`converted(model, outtype)`: the path of the GGUF file of one of the test models."""
    folder = tmp_path_factory.mktemp("converted")

    @functools.cache
    def make(model: str, outtype: str) -> Path:
        path = folder / f"{model}-{outtype}.gguf"
        with path.open("wb") as out:
            convert(files(model), out, outtype)
        return path

    return make
