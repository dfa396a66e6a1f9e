"""A server of the command's own, for commands that find none running."""

import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from modelkit.cli.server import Server
from modelkit.errors import EngineError

_LISTENING = re.compile(r"^Listening on (http\S+)$", re.MULTILINE)
_POLL_SECONDS = 0.02


@contextmanager
def own_server() -> Iterator[Server]:
    """A `modelkit serve` on a free port, ended with the block."""
    with tempfile.TemporaryDirectory(prefix="modelkit-") as folder:
        log = Path(folder) / "log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "modelkit", "serve", "--listen", "127.0.0.1:0"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # Ctrl-C is for the answer, not for the server
            )
        try:
            yield Server(_wait_for_url(process, log))
        finally:
            _stop(process)


def _wait_for_url(process: subprocess.Popen[bytes], log: Path) -> str:
    while (found := _LISTENING.search(log.read_text(errors="replace"))) is None:
        if process.poll() is not None:
            said = log.read_text(errors="replace").strip().splitlines()
            raise EngineError(
                f"the engine did not start: {said[-1] if said else 'it said nothing'}",
                hint="`modelkit doctor` says what is missing",
            )
        time.sleep(_POLL_SECONDS)
    return found[1]


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
