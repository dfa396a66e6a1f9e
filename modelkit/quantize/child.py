"""Running `modelkit.quantize.worker` as a child process and understanding how it ended."""

import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import IO, Any

from modelkit.errors import EngineError

INSTALL_HINT = "install it with: pip install 'modelkit-llm[engine]'"
CRASH_HINT = (
    "the engine may be compiled for another CPU, or by a gcc whose AMX code crashes; "
    "see `modelkit doctor`"
)
MEMORY_HINT = "the system may be out of memory"
FAULTS = (signal.SIGSEGV, signal.SIGILL, signal.SIGBUS, signal.SIGFPE)
"""How a process ends whose code was compiled for another CPU, or wrongly."""
_LAST_WORDS = 4096  # bytes of the child's stderr


class Faulty(EngineError):
    """The engine crashed with one of FAULTS."""


def require_engine() -> None:
    """Raise EngineError when llama.cpp is not installed; costs nothing, imports nothing."""
    if find_spec("llama_cpp") is None:
        raise EngineError("the llama.cpp engine is not installed", hint=INSTALL_HINT)


def run_worker(**request: object) -> Generator[dict[str, Any], None, None]:
    """Start the worker and yield its messages; ticks come twice a second while it is busy.

    The child is killed when the iterator is closed or left by an exception. Raises EngineError
    when llama.cpp is not installed, does not load, or crashes; Faulty for one of FAULTS.
    """
    require_engine()
    with tempfile.TemporaryFile() as errors, _started(request, errors) as child:
        for line in child.stdout or ():
            message = json.loads(line)
            if "missing" in message:
                raise EngineError(
                    f"the llama.cpp engine does not load: {message['missing']}", hint=INSTALL_HINT
                )
            yield message
        child.wait()
        if child.returncode != 0:
            raise _crashed(child.returncode, errors)


@contextmanager
def _started(request: dict[str, object], errors: IO[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """The running child; dead and waited for afterwards, whatever happened."""
    # -P: a folder called modelkit in the working directory must not be imported instead of us.
    # A session of its own: Ctrl-C is for the parent, which then ends the child.
    command = [sys.executable, "-P", "-m", "modelkit.quantize.worker", json.dumps(request)]
    child = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        start_new_session=True,
    )
    with child:
        try:
            yield child
        finally:
            child.kill()


def _crashed(code: int, errors: IO[bytes]) -> EngineError:
    """What to say about a child that ended without an answer."""
    if code == -signal.SIGKILL:
        return EngineError("the engine process was killed (SIGKILL)", hint=MEMORY_HINT)
    if code < 0:
        number = signal.Signals(-code)
        kind = Faulty if number in FAULTS else EngineError
        return kind(f"the engine process crashed ({number.name})", hint=CRASH_HINT)
    errors.seek(0)
    lines = errors.read()[-_LAST_WORDS:].decode(errors="replace").strip().splitlines()
    return EngineError(
        f"the engine process failed: {lines[-1] if lines else f'exit status {code}'}",
        hint=CRASH_HINT,
    )
