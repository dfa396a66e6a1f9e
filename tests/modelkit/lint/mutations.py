"""Damaged Modelfiles, made from the fixtures, through everything that reads a Modelfile.

`python -m tests.modelkit.lint.mutations SECONDS [SEED]` goes on for as long as it is told.
"""

import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from modelkit.errors import ModelfileError
from modelkit.lint import fix, lint
from modelkit.lint.report import text_report
from modelkit.lint.sarif import sarif_report
from modelkit.modelfile import Modelfile
from modelkit.modelfile_format import format_modelfile

FIXTURES = Path(__file__).parents[3] / "fixtures"
LIMIT = 1.0  # seconds of processor time for one file
_PIECES = [
    *(b'"', b'"""', b"'", b"\n", b"\r", b" ", b"\t", b"#", b".", b"$", b"~", b"/", b"-1", b"1e9"),
    *(
        b"\xc2\xa0",
        b"\x0b",
        b"\xe2\x80\xa8",
        b"\xc2\x85",
        b"\x00",
        b"\xf0\x9f\x91\xa8",
        b"\xef\xbb\xbf",
    ),
    *(b"{{", b"}}", b"{{ end }}", b"range ", b"FROM ", b"PARAMETER ", b"stop ", b"TEMPLATE "),
    b"# modelkit: ignore[MK101]\n",
]


def corpus() -> list[bytes]:
    """Every Modelfile of the fixtures, and every Go template as the TEMPLATE of one."""
    files = sorted((FIXTURES / "modelfiles").rglob("*.Modelfile"))
    templates = sorted((FIXTURES / "templates").glob("*.gotmpl"))
    wrapped = [
        b'FROM a\nSYSTEM s\nTEMPLATE """' + file.read_bytes() + b'"""\n' for file in templates
    ]
    return [file.read_bytes() for file in files] + wrapped


def mutations(seed: int) -> Iterator[str]:
    """Files without end: pieces put in, taken out, doubled, and taken from other files."""
    chance = random.Random(seed)
    files = corpus()
    while True:
        data = bytearray(chance.choice(files))
        for _ in range(chance.randint(1, 6)):
            _mutate(data, chance, files)
        yield bytes(data).decode("utf-8", "replace")


def _mutate(data: bytearray, chance: random.Random, files: list[bytes]) -> None:
    place = chance.randint(0, len(data))
    match chance.randrange(5):
        case 0 | 1:
            data[place:place] = chance.choice(_PIECES)
        case 2:
            del data[place : place + chance.randint(1, 12)]
        case 3:
            other = chance.choice(files)
            start = chance.randint(0, len(other))
            data[place:place] = other[start : start + chance.randint(1, 60)]
        case 4:
            data[place:place] = data[place : place + chance.randint(1, 40)]


def check(text: str) -> None:
    """What must hold of any text; an AssertionError or any other exception is a bug."""
    before = time.process_time()
    found = lint(text, folder=FIXTURES / "modelfiles")
    assert time.process_time() - before < LIMIT
    text_report(found, {"Modelfile": text})
    sarif_report(found, {"Modelfile": text})
    assert all(0 <= item.span.start <= item.span.end <= len(text) for item in found)
    fixed = fix(text, folder=FIXTURES / "modelfiles")
    assert not [item for item in fixed.remaining if item.fix]
    try:
        modelfile = Modelfile.parse(text)
    except ModelfileError:
        assert "MK000" in {item.code for item in found}
        return
    assert "MK000" not in {item.code for item in found}
    Modelfile.parse(fixed.text)
    formatted = format_modelfile(text)
    assert Modelfile.parse(formatted) == modelfile
    assert format_modelfile(formatted) == formatted


def main(seconds: float, seed: int) -> None:
    """Check files until the time is over; the file of a failure is printed."""
    end, count = time.monotonic() + seconds, 0
    for text in mutations(seed):
        try:
            check(text)
        except BaseException:
            print(repr(text))
            raise
        count += 1
        if time.monotonic() > end:
            break
    print(f"{count} files")


if __name__ == "__main__":
    main(float(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0)
