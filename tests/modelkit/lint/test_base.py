"""What the linter knows about the model that FROM names."""

import json
from pathlib import Path

import pytest

from modelkit.lint import fix, lint
from modelkit.store import Store
from tests.modelkit.models import LLAMA, make


def codes(text: str, folder: Path) -> list[str]:
    return [item.code for item in lint(text, folder=folder)]


def test_a_stored_model_tells_its_context(models: Store, tmp_path: Path) -> None:
    make(models, tmp_path, LLAMA)
    assert codes("FROM test\nPARAMETER num_ctx 2049\n", tmp_path) == ["MK107"]
    assert codes("FROM test\nPARAMETER num_ctx 2048\n", tmp_path) == []
    assert codes("FROM other\nPARAMETER num_ctx 2049\n", tmp_path) == []


def test_stop_texts_are_inherited_from_a_stored_model(models: Store, tmp_path: Path) -> None:
    template = "TEMPLATE <|user|>{{ .Prompt }}<|end|>{{ .Response }}<|end|>\n"
    assert codes(f"FROM test\n{template}", tmp_path) == ["MK205"]
    make(models, tmp_path, LLAMA, parameters={"stop": ["<|end|>"]})
    assert codes(f"FROM test\n{template}", tmp_path) == []
    assert codes(f"FROM test\n{template}PARAMETER stop x\n", tmp_path) == ["MK205"]


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"max_position_embeddings": 512}, ["MK107"]),
        ({"max_position_embeddings": 4096}, []),
        ({"max_position_embeddings": "many"}, []),
        ([], []),
    ],
)
def test_a_checkpoint_tells_its_context(
    config: object, expected: list[str], tmp_path: Path
) -> None:
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(bytes(16))
    (folder / "config.json").write_text(json.dumps(config))
    text = "FROM ./checkpoint\nLICENSE MIT\nPARAMETER num_ctx 1024\n"
    assert codes(text, tmp_path) == expected


@pytest.mark.parametrize("damage", [b"", b"GGUF", b"GGUF\xff\xff\xff\xff", b"\x00" * 64])
def test_damaged_weights_say_nothing(damage: bytes, tmp_path: Path) -> None:
    (tmp_path / "weights.gguf").write_bytes(damage)
    text = "FROM ./weights.gguf\nLICENSE MIT\nPARAMETER num_ctx 1024\n"
    assert codes(text, tmp_path) == []


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    assert codes("\ufeffFROM a\n", tmp_path) == []
    assert fix("\ufeffFROM a # b\n").text == "\ufeff# b\nFROM a\n"


def test_a_folder_without_weights_is_no_model_of_that_name(tmp_path: Path) -> None:
    (tmp_path / "llama").mkdir()
    assert codes("FROM llama\nLICENSE MIT\n", tmp_path) == ["MK301"]
    assert codes("FROM llama:latest\n", tmp_path) == []
