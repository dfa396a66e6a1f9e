"""The fixtures of the lint rules, and what the linter says to them.

`python -m tests.modelkit.lint.samples` writes the expected reports again; look at the difference
before you commit it.
"""

import re
import tempfile
from pathlib import Path

from modelkit.lint import Config, fix, lint
from modelkit.lint.report import text_report
from modelkit.lint.rules import Rule, all_rules
from tests.modelkit.gguf_files import write_gguf

FIXTURES = Path(__file__).parents[3] / "fixtures" / "modelfiles" / "lint"
_EXAMPLE = re.compile(r"^```\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def make_folder(folder: Path) -> Path:
    """The files that the fixtures name: three GGUF files, and a folder without weights."""
    metadata = {"general.architecture": "llama", "llama.context_length": 2048}
    for name in ("weights", "lora", "small"):
        write_gguf(folder / f"{name}.gguf", metadata)
    (folder / "empty").mkdir(exist_ok=True)
    return folder


def examples(rule: Rule) -> tuple[str, str]:
    """The bad and the good example of a rule's documentation."""
    bad, good = _EXAMPLE.findall(rule.documentation)
    return bad, good


def config(code: str) -> Config:
    """One rule alone; the one about ignore comments needs the others."""
    if code == "MK012":
        return Config()
    return Config(select=(code,), locked=code == "MK304")


def read(code: str, kind: str) -> str:
    """The text of a fixture, line ends as they are."""
    return (FIXTURES / code / f"{kind}.Modelfile").read_bytes().decode()


def report(code: str, kind: str, folder: Path) -> str:
    """What `modelkit lint` prints about a fixture; paths of this machine are left out."""
    text, name = read(code, kind), f"{kind}.Modelfile"
    found = [
        item for item in lint(text, name, config=config(code), folder=folder) if item.code == code
    ]
    return text_report(found, {name: text}).replace(str(folder), "FOLDER")


def fixed(code: str, folder: Path) -> str:
    """The bad fixture after the fixes of its rule."""
    return fix(read(code, "bad"), config=config(code), folder=folder).text


def write(folder: Path) -> None:
    """Write what the linter says today as what it should say."""
    for rule in all_rules():
        (FIXTURES / rule.code / "expected.txt").write_text(report(rule.code, "bad", folder))
        text = fixed(rule.code, folder)
        target = FIXTURES / rule.code / "fixed.Modelfile"
        if text != read(rule.code, "bad"):
            target.write_bytes(text.encode())
        else:
            target.unlink(missing_ok=True)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        write(make_folder(Path(name)))
