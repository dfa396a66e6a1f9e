"""The peer: llama-server, built from the llama.cpp source that llama-cpp-python ships."""

import shlex
import subprocess
import sys
import tarfile
from pathlib import Path

from bench.engine.server import Server, free_port

PACKAGE, VERSION = "llama-cpp-python", "0.3.36"
BUILD = Path(".cache/peer")
_OPTIONS = (
    "-DCMAKE_BUILD_TYPE=Release",
    "-DLLAMA_CURL=OFF",
    "-DLLAMA_BUILD_TESTS=OFF",
    "-DLLAMA_BUILD_EXAMPLES=OFF",
    "-DLLAMA_BUILD_UI=OFF",
)


def binary(name: str) -> Path:
    """One of llama.cpp's programs, with the flags that our own engine is compiled with.

    The first call compiles it, which takes about six minutes of two cores.
    """
    from scripts.engine_flags import describe

    return compiled(name, BUILD / "build", describe()[0])


def compiled(name: str, folder: Path, flags: str) -> Path:
    """The program, compiled in `folder` with these CMAKE_ARGS unless it is there."""
    path = folder / "bin" / name
    if not path.exists():
        _run("cmake", "-B", str(folder), "-S", str(_source()), *_OPTIONS, *shlex.split(flags))
        _run("cmake", "--build", str(folder), "-j2", "--target", name)
    return path.absolute()


def _source() -> Path:
    """llama.cpp's source, downloaded once."""
    source = BUILD / f"llama_cpp_python-{VERSION}" / "vendor" / "llama.cpp"
    if source.exists():
        return source
    BUILD.mkdir(parents=True, exist_ok=True)
    _run(
        *(sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", PACKAGE),
        *(f"{PACKAGE}=={VERSION}", "-d", str(BUILD)),
    )
    with tarfile.open(BUILD / f"llama_cpp_python-{VERSION}.tar.gz") as tar:
        tar.extractall(BUILD, filter="data")
    return source


def _run(*command: str) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def llama_server(
    model: Path, *, parallel: int, context: int, flags: tuple[str, ...] = ()
) -> Server:
    """A running llama-server with `parallel` slots of `context` tokens each, on two threads."""
    port = free_port()
    command = (
        *(str(binary("llama-server")), "-m", str(model), "--host", "127.0.0.1"),
        *("--port", str(port), "-t", "2", "-tb", "2", "-np", str(parallel)),
        *("-c", str(context * parallel), "--no-webui", "-lv", "1"),
        *flags,
    )
    return Server.start("llama-server", command, port, ready="/health")
