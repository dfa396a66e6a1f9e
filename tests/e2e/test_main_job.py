"""The main job on a real model, and the demo that shows it."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from modelkit.names import ModelName
from modelkit.store import Store
from tests.cli import Modelkit
from tests.conftest import FIXTURES
from tests.e2e.conftest import Starter

# A manifest's digest is over every byte of the model: it may change with the converter only.
TINY_LLAMA_DIGEST = "sha256:3fcf3a413236212ef0a58b9549ebbe79e60eaf46980bce88bc89f7bbd722c210"


def test_the_demo_runs_from_end_to_end() -> None:
    script = FIXTURES.parent / "scripts" / "demo.py"
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=170
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ok: prompt_eval_count is 8" in done.stdout
    assert "ok: exit code 4" in done.stdout
    assert "Error: " in done.stderr


def write_modelfile(folder: Path, source: Path) -> Path:
    folder.mkdir()
    path = folder / "Modelfile"
    path.write_text(
        f"FROM {source}\nSYSTEM Be brief.\nPARAMETER temperature 0\nPARAMETER stop <|x|>\n"
        "LICENSE MIT\nMESSAGE user hi\nMESSAGE assistant hello\n"
    )
    return path


def digest_of_build(folder: Path, source: Path, **environment: str) -> str:
    """Build in a process of its own and return the manifest's digest."""
    modelfile = write_modelfile(folder, source)
    models = folder / "models"
    subprocess.run(
        [sys.executable, "-m", "modelkit", "build", "-f", str(modelfile), "-t", "x", "-q", "q8_0"],
        env=os.environ | {"MODELKIT_MODELS": str(models)} | environment,
        check=True,
        capture_output=True,
        timeout=120,
    )
    return str(Store(models).manifest(ModelName.parse("x")).digest)


def test_the_same_input_gives_the_same_digest_everywhere(tiny_llama: Path, tmp_path: Path) -> None:
    copy = tmp_path / "elsewhere" / "other-name"
    copy.parent.mkdir()
    subprocess.run(["cp", "-r", str(tiny_llama), str(copy)], check=True)
    subprocess.run(["touch", "-d", "2001-01-01", *map(str, copy.iterdir())], check=True)
    one = digest_of_build(tmp_path / "one", tiny_llama)
    two = digest_of_build(
        tmp_path / "two", copy, PYTHONHASHSEED="1", TZ="Asia/Tokyo", LC_ALL="C", LANG="tr_TR"
    )
    assert one == two == TINY_LLAMA_DIGEST


def test_every_command_works_on_a_server_too(
    modelkit: Modelkit, tiny_llama: Path, tmp_path: Path, serving: Starter
) -> None:
    models = str(tmp_path / "server-models")
    modelfile = write_modelfile(tmp_path / "build", tiny_llama)
    with serving("serve", "--listen", "127.0.0.1:0", MODELKIT_MODELS=models) as url:

        def ask(*arguments: object) -> str:
            result = modelkit("--host", url, *arguments)
            assert result.code == 0, result
            return result.out

        assert ask("build", "-f", modelfile, "-t", "tiny", "-q", "q8_0") == ""
        assert json.loads(ask("list", "--json"))[0]["name"] == "tiny:latest"
        assert "Be brief." in ask("show", "--modelfile", "tiny")
        assert "quantization        Q8_0" in ask("show", "tiny")
        assert ask("run", "tiny", "Hello").strip()
        assert "tiny:latest" in ask("ps")
        ask("stop", "tiny")
        assert json.loads(ask("ps", "--json")) == []
        ask("cp", "tiny", "other")
        ask("rm", "tiny")
        assert [item["name"] for item in json.loads(ask("list", "--json"))] == ["other:latest"]
        modelkit.fails(3, "--host", url, "rm", "tiny")
        modelkit.fails(3, "--host", url, "show", "tiny")


def test_run_needs_no_server(
    modelkit: Modelkit, models: Store, tiny_llama: Path, minilm: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("MODELKIT_HOST", "")
    monkeypatch.setattr("modelkit.address.DEFAULT_PORT", 1)
    modelfile = write_modelfile(tmp_path / "build", tiny_llama)
    assert modelkit("build", "-f", modelfile, "-t", "tiny").code == 0
    result = modelkit("run", "--verbose", "tiny", "Hello")
    assert result.code == 0
    assert result.out.strip()
    assert re.search(r"eval count: +\d+ token", result.err)
    (tmp_path / "Embed").write_text(f"FROM {minilm}\n")
    assert modelkit("build", "-f", tmp_path / "Embed", "-t", "minilm", "-q", "f16").code == 0
    vector = json.loads(modelkit("run", "minilm", "Why is the sky blue?").out)
    assert len(vector) == 384
    assert abs(vector[0] - 0.010071029) < 5e-5


def test_show_modelfile_builds_the_same_model_again(
    modelkit: Modelkit, models: Store, tiny_llama: Path, tmp_path: Path
) -> None:
    modelfile = write_modelfile(tmp_path / "build", tiny_llama)
    assert modelkit("build", "-f", modelfile, "-t", "one").code == 0
    (tmp_path / "Again").write_text(modelkit("show", "--modelfile", "one").out)
    assert modelkit("build", "-f", tmp_path / "Again", "-t", "two").code == 0
    one, two = (models.manifest(ModelName.parse(name)) for name in ("one", "two"))
    assert [layer.digest for layer in one.layers] == [layer.digest for layer in two.layers]


def test_inspect_shows_a_file_and_a_stored_model(
    modelkit: Modelkit, models: Store, tiny_llama: Path, tmp_path: Path
) -> None:
    modelfile = write_modelfile(tmp_path / "build", tiny_llama)
    assert modelkit("build", "-f", modelfile, "-t", "tiny", "-q", "q8_0").code == 0
    shown = json.loads(modelkit("inspect", "--json", "tiny").out)
    assert shown["metadata"]["general.architecture"] == "llama"
    assert {tensor["type"] for tensor in shown["tensors"]} == {"F32", "Q8_0"}
    assert modelkit("convert", tiny_llama, "-o", tmp_path / "tiny.gguf").code == 0
    assert "general.architecture" in modelkit("inspect", tmp_path / "tiny.gguf").out
    (tmp_path / "tiny.gguf").write_bytes(b"GGUF")
    modelkit.fails(1, "inspect", tmp_path / "tiny.gguf")


def test_one_command_builds_signs_and_pushes(
    modelkit: Modelkit, models: Store, tiny_llama: Path, tmp_path: Path, serving: Starter,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    modelfile = write_modelfile(tmp_path / "build", tiny_llama)
    with serving("registry", "serve", "--port", "0", "--root", str(tmp_path / "registry")) as url:
        name = f"{url.removeprefix('http://')}/team/tiny:v1"
        build = ["build", "-f", modelfile, "-t", name, "-q", "q8_0", "--sign", "--push"]
        assert "modelkit keygen" in modelkit.fails(3, *build)
        assert models.names() == []
        public = json.loads(modelkit("keygen", "--json").out)["public"]
        with monkeypatch.context() as patch:
            patch.setenv("OLLAMA_HOST", "127.0.0.1:1")
            assert "local store" in modelkit.fails(2, *build)
        assert modelkit(*build).code == 0
        assert modelkit("rm", name).code == 0
        assert modelkit("pull", name).code == 0
        assert modelkit("verify", "--key", public, name).code == 0
