"""Edge cases 41 to 64: what a Modelfile says; those of folders and paths with real files."""

import codecs
from pathlib import Path

import pytest

from modelkit.compiler.recipe import Recipe
from modelkit.errors import ModelkitError
from modelkit.modelfile import Command, Modelfile

COMMANDS = (
    'command must be one of "from", "license", "template", "system", "adapter", "draft",'
    ' "renderer", "parser", "parameter", "message", or "requires"'
)
ROLES = 'message role must be one of "system", "user", or "assistant"'
UTF16 = "FROM a\nSYSTEM ü"

VALUES: list[tuple[int, str | bytes, str]] = [
    (42, "FROM ", ""),
    *((43, text, "a") for text in ("from a", "FrOm a", "\t FROM a")),
    (44, "FROM a # x", "a # x"),
    (45, 'FROM a\nSYSTEM """x\ny"""   ', "x\ny"),
    (47, 'FROM a\nSYSTEM "abc" def\nLICENSE "x"', 'abc" def\nLICENSE "x'),
    (48, "FROM a\nSYSTEM 'abc'", "'abc'"),
    (48, 'FROM a\nSYSTEM a "b" c', 'a "b" c'),
    (49, 'FROM a\nSYSTEM """"a""""', '"a"'),
    (49, 'FROM a\nSYSTEM """\'\'"…"""', "''\"…"),
    (50, 'FROM a\nSYSTEM ""', ""),
    (50, 'FROM a\nSYSTEM """"""', ""),
    (51, "FROM a\nSYSTEM a\u00a0b", "ab"),
    (51, "FROM a\nSYSTEM a\tb 👍", "a\tb 👍"),
    (58, "FROM a\nMESSAGE user hi: there", "user: hi: there"),
    (60, codecs.BOM_UTF16_LE + UTF16.encode("utf-16-le"), "ü"),
    (60, codecs.BOM_UTF16_BE + UTF16.encode("utf-16-be"), "ü"),
]

REFUSALS = [
    (41, "", "no FROM line"),
    (41, "# only\n# comments", "no FROM line"),
    (42, "FROM\n", f"(line 2): {COMMANDS}"),
    (42, "FROM", "unexpected EOF"),
    (46, 'FROM a\nSYSTEM "abc', "unexpected EOF"),
    (46, 'FROM a\nSYSTEM "abc" def', "unexpected EOF"),
    (52, "FROM a\nFOO bar", f"(line 2): {COMMANDS}"),
    (52, "FROM a\r\nFOO bar", f"(line 3): {COMMANDS}"),
    (53, "FROM a\nPARAMETER stop\n", "unexpected EOF: stop"),
    (53, "FROM a\nPARAMETER temp-x 1", "unexpected EOF: temp"),
    (54, "FROM a\nPARAMETER  top_k 1", "unknown parameter ''"),
    (55, "FROM a\nPARAMETER top_k 1.0", "invalid int value [1.0]"),
    (55, "FROM a\nPARAMETER use_mmap foo", "invalid bool value [foo]"),
    (56, "FROM a\nPARAMETER numa true", "unknown parameter 'numa'"),
    (58, "FROM a\nMESSAGE USER hi", f"(line 2): {ROLES}"),
    (58, "FROM a\nMESSAGE tool hi", f"(line 2): {ROLES}"),
    (59, "FROM a\nREQUIRES abc", "requires must be a valid semver (e.g. 0.14.0)"),
]

WRITTEN = [
    (64, 'a\n"b"', 'SYSTEM """a\n"b""""'),
    (64, "a\nb", 'SYSTEM "a\nb"'),
    (64, "a b", "SYSTEM a b"),
]

NUMBERS = {row[0] for row in (*VALUES, *REFUSALS, *WRITTEN)} | {56, 57, 59, 62, 63}


def recipe(text: str | bytes, folder: Path) -> Recipe:
    return Recipe.from_modelfile(Modelfile.parse(text), folder)


@pytest.mark.parametrize(("number", "text", "value"), VALUES)
def test_a_value_is_read_as_the_reference_reads_it(
    number: int, text: str | bytes, value: str
) -> None:
    assert Modelfile.parse(text).commands[-1].value == value


@pytest.mark.parametrize(("number", "text", "message"), REFUSALS)
def test_a_mistake_is_named_as_the_reference_names_it(
    number: int, text: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(ModelkitError) as caught:
        recipe(text, tmp_path)
    assert message in caught.value.message


@pytest.mark.parametrize(("number", "value", "line"), WRITTEN)
def test_a_value_is_quoted_where_it_must_be(number: int, value: str, line: str) -> None:
    assert str(Command("system", value)) == line


def test_56_a_deprecated_parameter_is_dropped_with_a_warning(tmp_path: Path) -> None:
    found = recipe("FROM a\nPARAMETER mirostat 1", tmp_path)
    assert found.parameters == {}
    assert "parameter mirostat is deprecated" in found.warnings


def test_57_stop_is_a_list_and_of_others_the_last_counts(tmp_path: Path) -> None:
    text = "FROM a\nPARAMETER stop x\nPARAMETER stop y\nPARAMETER top_k 1\nPARAMETER top_k 2"
    assert recipe(text, tmp_path).parameters == {"stop": ["x", "y"], "top_k": 2}


@pytest.mark.parametrize(("text", "version"), [("0.14", "0.14"), ("v0.14.0", "0.14.0")])
def test_59_a_version_loses_its_v(text: str, version: str, tmp_path: Path) -> None:
    assert recipe(f"FROM a\nREQUIRES {text}", tmp_path).requires == version


def test_62_the_first_group_of_files_wins(tmp_path: Path) -> None:
    for name in ("model-1.safetensors", "consolidated.safetensors"):
        (tmp_path / name).write_bytes(b"\0" * 8)
    assert list(recipe("FROM .", tmp_path).files) == ["model-1.safetensors"]


def test_62_a_folder_without_weights_is_refused(tmp_path: Path) -> None:
    (tmp_path / "README").write_text("x")
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ModelkitError, match="no Modelfile or safetensors files found"):
        recipe("FROM .", tmp_path)


def test_63_a_draft_is_another_model(tmp_path: Path) -> None:
    (tmp_path / "m.gguf").write_bytes(b"GGUF" + b"\0" * 20)
    with pytest.raises(ModelkitError, match="DRAFT must not reference the same local path as FROM"):
        recipe("FROM ./m.gguf\nDRAFT m.gguf", tmp_path)
