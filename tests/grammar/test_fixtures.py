"""The Modelfiles of fixtures/modelfiles and of the language reference."""

import json
import re
from pathlib import Path

import pytest

from modelkit.compiler.recipe import Recipe
from modelkit.errors import ModelfileError
from modelkit.grammar.errors import INSTRUCTIONS
from modelkit.modelfile import Modelfile

ROOT = Path(__file__).parents[2]
FIXTURES = ROOT / "fixtures" / "modelfiles"
GOOD = [
    json.loads(line) for line in (FIXTURES / "good" / "commands.jsonl").read_text().splitlines()
]
BAD = sorted((FIXTURES / "bad").glob("*.Modelfile"))
REFERENCE = (ROOT / "grammar" / "README.md").read_text()
SECTIONS = re.findall(
    r"^### (\w+)\n.*?^Good:\n\n```\n(.*?)```\n\nBad [^\n]*:\n\n```\n(.*?)```$",
    REFERENCE,
    re.MULTILINE | re.DOTALL,
)


@pytest.mark.parametrize("expected", GOOD, ids=lambda expected: expected["file"])
def test_a_good_modelfile_has_the_commands_written_beside_it(expected: dict[str, object]) -> None:
    file = FIXTURES / "good" / str(expected["file"])
    parsed = Modelfile.parse(file.read_bytes())
    assert [[command.name, command.value] for command in parsed.commands] == expected["commands"]
    assert Modelfile.parse(str(parsed)) == parsed


def test_every_good_modelfile_has_its_commands_written_down() -> None:
    files = sorted(file.name for file in (FIXTURES / "good").glob("*.Modelfile"))
    assert [expected["file"] for expected in GOOD] == files


@pytest.mark.parametrize("file", BAD, ids=lambda file: file.stem)
def test_a_bad_modelfile_is_refused_as_its_first_line_says(file: Path) -> None:
    data = file.read_bytes()
    first = data.replace(b"\0", b"").splitlines()[0].decode()
    expected = re.fullmatch(r"# (\d+):(\d+) (.+)", first)
    assert expected
    with pytest.raises(ModelfileError) as caught:
        Recipe.from_modelfile(Modelfile.parse(data, filename=file.name), file.parent)
    error = caught.value
    assert (error.line, error.column) == (int(expected[1]), int(expected[2]))
    assert expected[3] in f"{error.message}; {error.hint}"


def test_the_language_reference_has_a_section_for_every_instruction() -> None:
    assert sorted(name for name, _, _ in SECTIONS) == sorted(INSTRUCTIONS)


@pytest.mark.parametrize(("name", "good", "bad"), SECTIONS, ids=[name for name, _, _ in SECTIONS])
def test_the_examples_of_the_language_reference_are_good_and_bad(
    name: str, good: str, bad: str, tmp_path: Path
) -> None:
    (tmp_path / "lora.gguf").write_bytes(b"GGUF")
    (tmp_path / "small.gguf").write_bytes(b"GGUF")
    Recipe.from_modelfile(Modelfile.parse(good), tmp_path)
    with pytest.raises(ModelfileError):
        Recipe.from_modelfile(Modelfile.parse(bad), tmp_path)
