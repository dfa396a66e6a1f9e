"""Bad input: one line that says what, where and what to do; no traceback; nothing lost."""

import os
import shlex
import shutil
import socket
import struct
import subprocess
import sys
from pathlib import Path

import bcrypt
import pytest

from modelkit.store import Store
from tests.cli import Modelkit
from tests.e2e.conftest import Starter


@pytest.fixture
def checkpoint(tmp_path: Path, tiny_llama: Path) -> Path:
    """A copy of the tiny llama that a test may damage, beside a Modelfile that names it."""
    shutil.copytree(tiny_llama, tmp_path / "checkpoint")
    (tmp_path / "Modelfile").write_text("FROM ./checkpoint\n")
    return tmp_path / "checkpoint"


def build(modelkit: Modelkit, folder: Path, *more: str, code: int = 1) -> str:
    return modelkit.fails(code, "build", "-f", folder / "Modelfile", "-t", "x", *more)


def nothing_left(store: Store) -> bool:
    return store.names() == [] and not any(store.blobs.glob("tmp-*"))


def test_an_unknown_instruction_names_its_line_and_the_nearest_one(
    modelkit: Modelkit, models: Store, tmp_path: Path
) -> None:
    (tmp_path / "Modelfile").write_text("FROM x\nPARAMTER top_k 1\n")
    line = build(modelkit, tmp_path)
    assert "line 2" in line
    assert "PARAMETER" in line


def test_a_folder_without_weights(modelkit: Modelkit, models: Store, checkpoint: Path) -> None:
    (checkpoint / "model.safetensors").unlink()
    assert "safetensors" in build(modelkit, checkpoint.parent)
    assert nothing_left(models)


@pytest.mark.parametrize("keep", [4, 100, 0.5, 0.999])
def test_truncated_safetensors(
    modelkit: Modelkit, models: Store, checkpoint: Path, keep: float
) -> None:
    weights = checkpoint / "model.safetensors"
    data = weights.read_bytes()
    weights.write_bytes(data[: int(keep if keep >= 1 else keep * len(data))])
    assert "model.safetensors" in build(modelkit, checkpoint.parent)
    assert nothing_left(models)


def test_a_safetensors_header_that_promises_too_much(
    modelkit: Modelkit, models: Store, checkpoint: Path
) -> None:
    (checkpoint / "model.safetensors").write_bytes(struct.pack("<Q", 1 << 62) + b"{}")
    assert "model.safetensors" in build(modelkit, checkpoint.parent)


@pytest.mark.parametrize("keep", [3, 30, 0.2, 0.999])
def test_truncated_gguf(
    modelkit: Modelkit, models: Store, checkpoint: Path, tmp_path: Path, keep: float
) -> None:
    whole = tmp_path / "whole.gguf"
    assert modelkit("convert", checkpoint, "-o", whole).code == 0
    data = whole.read_bytes()
    (tmp_path / "cut.gguf").write_bytes(data[: int(keep if keep >= 1 else keep * len(data))])
    (tmp_path / "Modelfile").write_text("FROM ./cut.gguf\n")
    assert "cut.gguf" in build(modelkit, tmp_path)
    assert nothing_left(models)


def test_an_unknown_quantization_names_the_nearest(
    modelkit: Modelkit, models: Store, checkpoint: Path
) -> None:
    line = build(modelkit, checkpoint.parent, "-q", "q4_k_x", code=2)
    assert "Q4_K_M" in line
    assert nothing_left(models)


def test_from_a_file_that_is_not_there(modelkit: Modelkit, models: Store, tmp_path: Path) -> None:
    (tmp_path / "Modelfile").write_text("FROM ./missing.gguf\n")
    line = modelkit("build", "-f", tmp_path / "Modelfile", "-t", "x")
    assert line.code in (1, 3)
    assert "missing.gguf" in line.err


def test_an_unreachable_registry_is_named(modelkit: Modelkit, models: Store) -> None:
    line = modelkit.fails(1, "pull", "127.0.0.1:1/library/x")
    assert "127.0.0.1:1" in line


@pytest.fixture
def full_disk(tmp_path: Path) -> list[str]:
    """The beginning of a command that sees a tiny disk at tmp_path/disk."""
    (tmp_path / "disk").mkdir()
    mount = f"mount -t tmpfs -o size=128k tmpfs {shlex.quote(str(tmp_path / 'disk'))}"
    return ["unshare", "-rm", "sh", "-c", mount + ' && exec "$@"', "sh"]


def run_in(
    prefix: list[str], *arguments: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    command = [*prefix, sys.executable, "-m", "modelkit", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=60, env=os.environ | environment
    )


def one_error(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 1, done
    assert "Traceback" not in done.stderr
    errors = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 1, done.stderr
    return errors[0]


def test_a_full_disk(full_disk: list[str], tmp_path: Path, checkpoint: Path) -> None:
    done = run_in(
        full_disk, "build", "-f", str(tmp_path / "Modelfile"), "-t", "x",
        MODELKIT_MODELS=str(tmp_path / "disk"),
    )  # fmt: skip
    line = one_error(done)
    assert "No space left on device" in line
    assert "MODELKIT_MODELS" in line


def test_a_full_disk_while_converting(
    full_disk: list[str], tmp_path: Path, checkpoint: Path
) -> None:
    output = tmp_path / "disk" / "x.gguf"
    done = run_in(full_disk, "convert", str(checkpoint), "-o", str(output))
    assert "No space left on device" in one_error(done)


def test_a_full_disk_while_quantizing(
    modelkit: Modelkit, full_disk: list[str], tmp_path: Path, checkpoint: Path
) -> None:
    assert modelkit("convert", checkpoint, "-o", tmp_path / "in.gguf").code == 0
    output = tmp_path / "disk" / "out.gguf"
    done = run_in(full_disk, "quantize", str(tmp_path / "in.gguf"), str(output), "q8_0")
    assert "out.gguf" in one_error(done)


def test_a_store_that_is_not_writable(
    full_disk: list[str], tmp_path: Path, checkpoint: Path
) -> None:
    full_disk[4] = full_disk[4].replace("size=128k", "size=8m,ro")
    done = run_in(
        full_disk, "build", "-f", str(tmp_path / "Modelfile"), "-t", "x",
        MODELKIT_MODELS=str(tmp_path / "disk"),
    )  # fmt: skip
    line = one_error(done)
    assert "Read-only file system" in line
    assert "MODELKIT_MODELS" in line


@pytest.mark.parametrize("command", [["serve", "--listen"], ["registry", "serve", "--port"]])
def test_a_port_in_use(tmp_path: Path, command: list[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        address = f"127.0.0.1:{port}" if "--listen" in command else str(port)
        done = run_in([], *command, address, MODELKIT_MODELS=str(tmp_path / "models"))
    line = one_error(done)
    assert str(port) in line
    assert "in use" in line


def test_a_wrong_password_is_refused_with_a_way_out(
    modelkit: Modelkit, models: Store, checkpoint: Path, serving: Starter, tmp_path: Path
) -> None:
    assert modelkit("build", "-f", tmp_path / "Modelfile", "-t", "x").code == 0
    hashed = bcrypt.hashpw(b"right", bcrypt.gensalt(4)).decode()
    (tmp_path / "users").write_text(f"ci:{hashed}\n")
    root, users = str(tmp_path / "registry"), str(tmp_path / "users")
    with serving("registry", "serve", "--port", "0", "--root", root, "--htpasswd", users) as url:
        host = url.removeprefix("http://")
        assert modelkit("cp", "x", f"{host}/library/x").code == 0
        assert f"modelkit login {host}" in modelkit.fails(1, "push", f"{host}/library/x")
        wrong = run_with_password(host, "wrong")
        assert wrong.returncode == 1
        assert "Error: " in wrong.stderr
        assert run_with_password(host, "right").returncode == 0
        assert modelkit("push", f"{host}/library/x").code == 0


def run_with_password(host: str, password: str) -> subprocess.CompletedProcess[str]:
    command = ["login", host, "-u", "ci", "--password-stdin"]
    return subprocess.run(
        [sys.executable, "-m", "modelkit", *command],
        input=password + "\n",
        capture_output=True,
        text=True,
        timeout=60,
    )
