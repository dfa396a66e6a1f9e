"""`modelkit doctor` with engines that work, that work slowly and that do not work."""

import json
from pathlib import Path

import pytest

from modelkit.serve.scheduling.repacking import crash_note
from tests.cli import Modelkit

# Loading a model crashes when {condition}.
_FAULTY = """
import os, signal, sys
if "modelkit.quantize.worker" in sys.orig_argv and '"decode"' in sys.orig_argv[-1]:
    from llama_cpp import llama_cpp
    load = llama_cpp.llama_model_load_from_file
    def faulty(path, options):
        if {condition}:
            os.kill(os.getpid(), signal.SIGSEGV)
        return load(path, options)
    llama_cpp.llama_model_load_from_file = faulty
"""


@pytest.fixture(autouse=True)
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("XDG_CACHE_HOME", "MODELKIT_MODELS", "MODELKIT_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))


def _engine(modelkit: Modelkit) -> tuple[int, str]:
    """The exit code, and the lines on the engine: what it does, and what to do."""
    result = modelkit("doctor")
    lines = result.out.splitlines()
    place = next(n for n, line in enumerate(lines) if " engine: " in line)
    return result.code, " | ".join(lines[place : place + 2])


def test_an_engine_that_crashes_with_repacked_weights_is_a_warning(
    modelkit: Modelkit, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(_FAULTY.format(condition="options.use_extra_bufts"))
    code, said = _engine(modelkit)
    assert code == 0
    assert said.startswith("WARN engine: works, but crashes with repacked weights; models run ")
    assert "without them, slower; quantized and decoded Q8_0" in said
    assert said.endswith("|      compile it again for this CPU: make setup")


def test_an_engine_that_crashes_without_them_too_has_failed(
    modelkit: Modelkit, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(_FAULTY.format(condition="True"))
    code, said = _engine(modelkit)
    assert code == 1
    assert said.startswith("FAIL engine: the engine process crashed (SIGSEGV)")


def test_a_crash_that_is_remembered_is_a_warning(modelkit: Modelkit) -> None:
    crash_note().parent.mkdir(parents=True)
    crash_note().write_text("seen with x")
    result = modelkit("doctor", "--json")
    [engine] = [finding for finding in json.loads(result.out) if finding["what"] == "engine"]
    assert (result.code, engine["ok"]) == (0, True)
    assert engine["said"].startswith("a model crashed with repacked weights, so all run without")
    assert engine["mend"] == f"to try them again, delete {crash_note()}"
