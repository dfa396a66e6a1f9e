"""Tiny real vocabularies, and the grammars over them."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelkit.convert import convert
from modelkit.serve.runner.grammar.grammars import Grammars
from modelkit.serve.runner.llama.log import Log
from modelkit.serve.runner.llama.model import Model

_SENTENCEPIECE = Path(__file__).parents[4] / "fixtures" / "tiny_llama_spm"


@pytest.fixture(scope="session")
def model(chat_llama: Path) -> Model:
    """Byte-level BPE with added tokens and three end tokens."""
    return Model(str(chat_llama), Log())


@pytest.fixture(scope="session")
def grammars(model: Model) -> Grammars:
    return Grammars(model)


@pytest.fixture(scope="session")
def sentencepiece(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """SentencePiece with byte tokens; its tokenizer puts a space before a text."""
    path = tmp_path_factory.mktemp("spm") / "spm.gguf"
    with path.open("wb") as out:
        convert({file.name: file for file in _SENTENCEPIECE.iterdir()}, out, "f32")
    return Model(str(path), Log())
