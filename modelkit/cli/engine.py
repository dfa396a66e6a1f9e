"""A server of the command's own, for commands that find none running."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from modelkit.cli.server import Server
from modelkit.errors import EngineError


@contextmanager
def own_server() -> Iterator[Server]:
    """A `modelkit serve` on a free port, ended with the block."""
    read, write = os.pipe()
    with tempfile.TemporaryFile() as log:
        command = [sys.executable, "-m", "modelkit", "serve", "--listen", "127.0.0.1:0"]
        process = subprocess.Popen(
            [*command, "--announce", str(write)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=[write],
            start_new_session=True,  # Ctrl-C is for the answer, not for the server
        )
        os.close(write)
        try:
            with os.fdopen(read) as announced:
                url = announced.readline().strip()
            if not url:
                raise EngineError(f"the engine did not start: {_tail(log)}", hint="modelkit doctor")
            yield Server(url)
        finally:
            _stop(process)


def _tail(log: IO[bytes]) -> str:
    log.seek(0)
    lines = log.read().decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
