"""modelkit lint, fmt and parse as commands: files in, text out, exit codes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli import Modelkit

MENDABLE = "FROM a\nPARAMETER mirostat 1\n"
UGLY = "from a\n\n\nsystem  'x'\n"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, and the current one."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


# ---- lint ----


def test_a_clean_file_exits_with_0_and_prints_nothing(modelkit: Modelkit, here: Path) -> None:
    (here / "Modelfile").write_text("FROM a\n")
    result = modelkit("lint", "Modelfile")
    assert (result.code, result.out) == (0, "")
    assert "no findings in 1 file" in result.err


def test_findings_exit_with_1(modelkit: Modelkit, here: Path) -> None:
    (here / "Modelfile").write_text(MENDABLE)
    result = modelkit("lint", "Modelfile")
    assert result.code == 1
    assert result.out.startswith("Modelfile:2:11: warning MK104 [*]")
    assert "1 finding in 1 file; 1 can be mended with --fix ([*])" in result.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["lint"],
        ["lint", "missing"],
        ["lint", "Modelfile", "--select", "MK9"],
        ["lint", "Modelfile", "--ignore", "nonsense"],
        ["lint", "Modelfile", "--format", "xml"],
        ["lint", "empty"],
        ["fmt"],
        ["fmt", "missing"],
        ["fmt", "Modelfile", "--wrong"],
        ["parse"],
        ["parse", "missing"],
    ],
)
def test_wrong_usage_exits_with_2(modelkit: Modelkit, here: Path, arguments: list[str]) -> None:
    (here / "Modelfile").write_text("FROM a\n")
    (here / "empty").mkdir()
    modelkit.fails(2, *arguments)


def test_settings_are_found_upwards_and_the_command_line_adds(
    modelkit: Modelkit, here: Path
) -> None:
    (here / "modelkit.toml").write_text('[lint]\nignore = ["MK104"]\n')
    (here / "a").mkdir()
    (here / "a" / "Modelfile").write_text(MENDABLE + "PARAMETER top_p 9\n")
    assert "MK104" not in modelkit("lint", "a/Modelfile").out
    assert modelkit("lint", "a/Modelfile", "--ignore", "MK103,MK2").code == 0
    assert modelkit("lint", "a/Modelfile", "--select", "MK2", "--select", "MK3").code == 0
    assert "MK304" in modelkit("lint", "--locked", "a/Modelfile").out


def test_a_folder_stands_for_the_modelfiles_below_it(modelkit: Modelkit, here: Path) -> None:
    names = ("Modelfile", "x/Modelfile.chat", "y/small.Modelfile", ".git/Modelfile", "z.txt")
    for name in names:
        (here / name).parent.mkdir(exist_ok=True)
        (here / name).write_text(MENDABLE)
    found = json.loads(modelkit("lint", "--format", "json", ".").out)
    assert [item["file"] for item in found] == [
        "Modelfile",
        "x/Modelfile.chat",
        "y/small.Modelfile",
    ]


def test_fix_mends_the_file_and_says_so(modelkit: Modelkit, here: Path) -> None:
    file = here / "Modelfile"
    file.write_bytes(b"\xff\xfe" + MENDABLE.replace("\n", "\r\n").encode("utf-16-le"))
    file.chmod(0o640)
    result = modelkit("lint", "--fix", "Modelfile")
    assert result.code == 0
    assert "Modelfile: 1 fix" in result.err
    assert file.read_bytes() == b"\xff\xfe" + "FROM a\r\n".encode("utf-16-le")
    assert file.stat().st_mode & 0o777 == 0o640
    assert [path.name for path in here.iterdir()] == ["Modelfile"]


def test_fix_leaves_a_clean_file_alone(modelkit: Modelkit, here: Path) -> None:
    file = here / "Modelfile"
    file.write_text("FROM a\n")
    os.utime(file, (1, 1))
    assert modelkit("lint", "--fix", "Modelfile").code == 0
    assert file.stat().st_mtime == 1


def test_standard_input_is_mended_onto_standard_output(here: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "modelkit", "lint", "--fix", "-"],
        input=(MENDABLE + "PARAMETER top_p 9\n").encode(),
        capture_output=True,
        cwd=here,
        timeout=60,
    )
    assert done.returncode == 1
    assert done.stdout == b"FROM a\nPARAMETER top_p 9\n"
    assert b"-:2:17: warning MK103" in done.stderr


def test_bytes_that_are_no_text_are_a_finding(modelkit: Modelkit, here: Path) -> None:
    (here / "Modelfile").write_bytes(b"FROM a\nSYSTEM caf\xe9\n")
    for style in ("text", "json", "sarif"):
        result = modelkit("lint", "--format", style, "Modelfile")
        assert result.code == 1
        assert "MK000" in result.out
        assert "not valid utf-8" in result.out
    assert modelkit("lint", "Modelfile").out.startswith("Modelfile:2:11: error MK000")


def test_sarif_and_json_are_one_document_for_all_files(modelkit: Modelkit, here: Path) -> None:
    for name in ("a.Modelfile", "b.Modelfile"):
        (here / name).write_text(MENDABLE)
    report = json.loads(modelkit("lint", "--format", "sarif", ".").out)
    assert len(report["runs"][0]["results"]) == 2
    assert len(json.loads(modelkit("lint", "--format", "json", ".").out)) == 2


# ---- fmt ----


def test_fmt_rewrites_the_file_once(modelkit: Modelkit, here: Path) -> None:
    file = here / "Modelfile"
    file.write_text(UGLY)
    assert modelkit("fmt", "Modelfile").code == 0
    assert file.read_text() == "FROM a\n\nSYSTEM 'x'\n"
    again = modelkit("fmt", "Modelfile")
    assert (again.code, again.err) == (0, "")


@pytest.mark.parametrize("flag", ["--check", "--diff"])
def test_fmt_with_check_or_diff_changes_nothing(modelkit: Modelkit, here: Path, flag: str) -> None:
    (here / "Modelfile").write_text(UGLY)
    (here / "Modelfile.good").write_text("FROM a\n")
    result = modelkit("fmt", flag, ".")
    assert result.code == 1
    assert (here / "Modelfile").read_text() == UGLY
    assert modelkit("fmt", flag, "Modelfile.good").code == 0


def test_fmt_diff_prints_the_difference(modelkit: Modelkit, here: Path) -> None:
    (here / "Modelfile").write_text(UGLY)
    lines = modelkit("fmt", "--diff", "Modelfile").out.splitlines()
    assert "-from a" in lines
    assert "+FROM a" in lines


def test_fmt_goes_on_behind_a_file_that_does_not_parse(modelkit: Modelkit, here: Path) -> None:
    (here / "a.Modelfile").write_text("FOO\n")
    (here / "b.Modelfile").write_text(UGLY)
    result = modelkit("fmt", ".")
    assert result.code == 1
    assert "a.Modelfile:1:1: " in result.err
    assert (here / "b.Modelfile").read_text() != UGLY


def test_fmt_keeps_links_and_encodings(modelkit: Modelkit, here: Path) -> None:
    (here / "real").write_bytes(b"\xef\xbb\xbffrom caf\xc3\xa9")
    (here / "Modelfile").symlink_to("real")
    assert modelkit("fmt", "Modelfile").code == 0
    assert (here / "Modelfile").is_symlink()
    assert (here / "real").read_bytes() == b"\xef\xbb\xbfFROM caf\xc3\xa9\n"


def test_fmt_reads_standard_input(here: Path) -> None:
    command = [sys.executable, "-m", "modelkit", "fmt", "-"]
    done = subprocess.run(command, input=b"from a", capture_output=True, cwd=here, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"FROM a\n", b"")


# ---- parse ----


def test_parse_prints_one_object_a_line(modelkit: Modelkit, here: Path) -> None:
    (here / "good").write_text("FROM a\nPARAMETER stop “é”\nMESSAGE user hi\n")
    (here / "bad").write_text("FROM a\nPARAMTER b\n")
    result = modelkit("parse", "good", "bad")
    good, bad = map(json.loads, result.out.splitlines())
    assert result.code == 1
    assert good == {
        "file": "good",
        "commands": [["model", "a"], ["stop", "“é”"], ["message", "user: hi"]],
    }
    assert bad["file"] == "bad"
    assert (bad["error"]["line"], bad["error"]["column"]) == (2, 1)
    assert bad["error"]["message"].startswith('(line 2): command must be one of "from"')


def test_parse_reads_standard_input(here: Path) -> None:
    command = [sys.executable, "-m", "modelkit", "parse", "-"]
    done = subprocess.run(command, input=b"FROM a", capture_output=True, cwd=here, timeout=60)
    assert done.returncode == 0
    assert json.loads(done.stdout) == {"file": "-", "commands": [["model", "a"]]}


def test_help_imports_no_linter(here: Path) -> None:
    script = (
        "import sys; from modelkit.cli.main import cli;"
        "cli.main(['--help'], standalone_mode=False);"
        "sys.exit(any(name.startswith('modelkit.lint') for name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=60)
    assert done.returncode == 0
