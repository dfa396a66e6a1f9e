"""Whatever a file holds, the linter answers within a second and raises nothing of its own."""

import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelkit.errors import ModelfileError
from modelkit.lint import fix, lint
from modelkit.modelfile import Modelfile
from modelkit.modelfile_format import format_modelfile

SIZE = 100_000
SECONDS = 3.0  # a third of it on an idle machine; what grows with the square takes minutes


def template(text: str) -> str:
    return f'FROM a\nTEMPLATE """{text}"""\n'


HOSTILE = {
    "newlines": "\n",
    "blank lines": " \n",
    "comments": "#\n",
    "bases": "FROM a\n",
    "folders": "FROM .\n",
    "unknown": "PARAMTER a 1\n",
    "open quotes": 'SYSTEM "a" b\n',
    "control characters": "FROM a\x01\n",
    "deprecated": "# modelkit: ignore[MK104]\nPARAMETER mirostat 1\n",
    "file ignores": "# modelkit: ignore-file[MK104]\n",
    "messages": "MESSAGE user a\n",
    "empty": 'LICENSE ""\n',
    "out of range": "PARAMETER temperature 9\n",
}
VALUES = {
    "quotes": '"' * SIZE,
    "triple quotes": '"""a' * (SIZE // 4),
    "quotes and blanks": '" ' * (SIZE // 2),
    "odd spaces": "x" + "\u00a0 " * (SIZE // 2) + "y",
    "blanks": "x" + " " * SIZE + "y",
    "hashes": "x" + " #" * (SIZE // 2),
    "keys": "sk-" * (SIZE // 3),
    "begins": "-----BEGIN " * (SIZE // 11),
    "escapes": "\\n" * (SIZE // 2),
}
TEMPLATES = {
    "actions": "{{ .Prompt }}" * 7_000,
    "conditions": "{{ if .Prompt }}" * 3_500 + "{{ end }}" * 3_500,
    "loops": "{{ range .Messages }}{{ range $.Messages }}" * 20 + "x" + "{{ end }}" * 40,
    "parentheses": "{{ " + "(" * 5_000 + ".Prompt" + ")" * 5_000 + " }}",
    "numbers": "{{ range 100000000 }}x{{ end }}",
    "recursion": '{{ define "a" }}{{ template "a" . }}{{ end }}{{ template "a" . }}',
    "misspelled": "{{ .foo }}" * 9_000,
    "fields": "{{ " + ".foo" * 20_000 + " }}",
    "chains": "{{ (.A).b }}" * 8_000,
    "open": "{{" * 50_000,
    "jinja": "{% " * 33_000,
}
FILES = (
    {name: unit * (SIZE // len(unit)) for name, unit in HOSTILE.items()}
    | {f"system: {name}": f"FROM a\nSYSTEM {text}" for name, text in VALUES.items()}
    | {f"template: {name}": template(text) for name, text in TEMPLATES.items()}
    | {
        "stops": "".join(f"PARAMETER stop {'a' * (n % 9)}{n}\n" for n in range(4_000)),
        "names": "".join(f"PARAMETER tempr{n} 1\n" for n in range(4_500)),
        "paths": "".join(f"FROM /{'./' * (n % 300)}\n" for n in range(300)),
    }
)


@pytest.fixture(scope="module", autouse=True)
def _warm() -> None:
    """Imports and the parsers' tables are paid once, not by the first file."""
    lint(template("{{ .Prompt }}"))


def seconds(work: Callable[[], object]) -> float:
    """Processor time; the better of two, because this machine does other things as well."""
    times = []
    for _ in range(2):
        before = time.process_time()
        with suppress(ModelfileError):
            work()
        times.append(time.process_time() - before)
        if times[-1] < SECONDS:
            break
    return min(times)


@pytest.mark.parametrize("text", FILES.values(), ids=FILES)
def test_100_kilobytes_take_less_than_a_second(text: str, tmp_path: Path) -> None:
    assert seconds(lambda: lint(text, folder=tmp_path)) < SECONDS
    assert seconds(lambda: Modelfile.parse(text)) < SECONDS
    assert seconds(lambda: format_modelfile(text)) < SECONDS


_WORDS = [
    *(
        "FROM ",
        "SYSTEM ",
        "TEMPLATE ",
        "PARAMETER ",
        "MESSAGE user ",
        "LICENSE ",
        "stop ",
        "top_k ",
    ),
    *('"', '"""', "'", "{{", "}}", "{{ end }}", ".Prompt", "range ", "if ", "# modelkit: ignore["),
    *("\n", "\r\n", " ", "\t", "\x00", "\ufeff", "\ud800", "MK104]", "./", "~", "/", "1.0", "-1"),
]
_SOUP = st.lists(st.sampled_from(_WORDS) | st.text(max_size=4), max_size=60).map("".join)


@given(_SOUP | st.text(max_size=200))
@settings(derandomize=True, deadline=None, max_examples=600)
def test_any_text_gives_findings_inside_the_text(text: str) -> None:
    for item in lint(text):
        assert 0 <= item.span.start <= item.span.end <= len(text)
        assert item.start <= item.end
        assert item.message


@given(_SOUP)
@settings(derandomize=True, deadline=None, max_examples=150)
def test_any_text_can_be_mended(text: str) -> None:
    fix(text)


@pytest.mark.parametrize(
    "path", ["fifo", "loop", "x" * 300, "x/" * 3_000, "secret", "/dev/zero", "/proc/self/mem"]
)
def test_paths_that_are_no_files_are_findings(path: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "secret").mkdir(mode=0)
    text = f"FROM {path}\nADAPTER {path}\nDRAFT {path}\nLICENSE {path}\nPARAMETER num_ctx 1\n"
    assert {"MK301"} <= {item.code for item in lint(text, folder=tmp_path)}
