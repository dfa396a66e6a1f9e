"""The pre-commit hooks and the GitHub Action run what they say."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from modelkit.cli.main import VERBS

ROOT = Path(__file__).parents[3]
HOOKS = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
ACTION = yaml.safe_load((ROOT / "action.yml").read_text())


@pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: hook["id"])
def test_a_hook_runs_a_command_on_modelfiles(hook: dict[str, Any]) -> None:
    program, verb = hook["entry"].split()
    assert program == "modelkit"
    assert verb in VERBS
    pattern = re.compile(hook["files"])
    for name in ("Modelfile", "a/Modelfile", "Modelfile.chat", "a/small.Modelfile"):
        assert pattern.search(name), name
    for name in ("Modelfiles", "xModelfile", "Modelfile/x", "Modelfile.md/x", "modelfile.py"):
        assert not pattern.search(name), name


def run_action(folder: Path, **inputs: str) -> subprocess.CompletedProcess[str]:
    """The last step of the action, with its inputs as the host would pass them."""
    given = {name: item["default"] for name, item in ACTION["inputs"].items()} | inputs
    step = ACTION["runs"]["steps"][-1]
    values = {
        name: re.sub(r"\$\{\{ inputs\.([a-z]+) \}\}", lambda match: given[match[1]], text)
        for name, text in step["env"].items()
    }
    bin_folder = str(Path(sys.executable).parent)
    environment = {**os.environ, **values, "PATH": f"{bin_folder}:{os.environ['PATH']}"}
    return subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", step["run"]],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_the_action_passes_a_clean_repository(tmp_path: Path) -> None:
    (tmp_path / "Modelfile").write_text("FROM a\n")
    done = run_action(tmp_path, sarif="lint.sarif")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "lint.sarif").read_text().startswith("{")


def test_the_action_fails_on_findings_and_on_the_wrong_style(tmp_path: Path) -> None:
    (tmp_path / "Modelfile").write_text("FROM a\nPARAMETER mirostat 1\n")
    done = run_action(tmp_path, sarif="lint.sarif")
    assert done.returncode == 1
    assert "MK104" in done.stdout
    assert "MK104" in (tmp_path / "lint.sarif").read_text()
    assert run_action(tmp_path, arguments="--ignore MK104").returncode == 0
    (tmp_path / "Modelfile").write_text("from a\n")
    assert run_action(tmp_path).returncode == 1
    assert run_action(tmp_path, format="false").returncode == 0


def test_the_inputs_of_the_action_are_not_run(tmp_path: Path) -> None:
    (tmp_path / "Modelfile").write_text("FROM a\n")
    done = run_action(tmp_path, files="Modelfile; touch a", arguments="$(touch b) `touch c`")
    assert done.returncode == 2
    assert [path.name for path in tmp_path.iterdir()] == ["Modelfile"]


def test_the_action_installs_itself_and_quotes_no_input_in_a_script() -> None:
    for step in ACTION["runs"]["steps"]:
        assert "${{" not in step.get("run", "")
