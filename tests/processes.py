"""The processes of modelkit, seen from the test that started them."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LISTENING = re.compile(r"^Listening on (http\S+)$", re.MULTILINE)


def children(module: str) -> list[int]:
    """The ids of this process's living children that run `python -m module`."""
    found = []
    for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split():
        try:
            arguments = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
        except OSError:
            continue  # it has just ended
        if module in arguments:
            found.append(int(pid))
    return found


@contextmanager
def serving(folder: Path, *arguments: str, **environment: str) -> Iterator[str]:
    """The address of a modelkit server on a free port, which logs to `folder`."""
    log = folder / f"server-{time.monotonic_ns()}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "modelkit", *arguments],
            stdout=output,
            stderr=output,
            env=os.environ | environment,
        )
    try:
        while (found := LISTENING.search(log.read_text())) is None:
            assert process.poll() is None, log.read_text()
            time.sleep(0.05)
        yield found[1]
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0, log.read_text()
