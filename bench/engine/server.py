"""A server under measurement: a process tree, its address, its memory."""

import os
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.error import URLError

_PATIENCE = 120.0  # seconds


def free_port() -> int:
    """A TCP port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Server:
    """A started server; `stop` ends it and everything it started."""

    name: str
    port: int
    process: subprocess.Popen[bytes]
    log: IO[bytes]

    @classmethod
    def start(
        cls,
        name: str,
        command: tuple[str, ...],
        port: int,
        *,
        ready: str,
        environment: dict[str, str] | None = None,
    ) -> "Server":
        """Start the command and wait until a GET of the path `ready` is answered with 200."""
        log = tempfile.TemporaryFile()  # noqa: SIM115 (it lives as long as the server)
        process = subprocess.Popen(
            command,
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
        )
        server = cls(name, port, process, log)
        deadline = time.monotonic() + _PATIENCE
        while not server._answers(ready):
            if process.poll() is not None or time.monotonic() > deadline:
                server.stop()
                raise SystemExit(f"Error: {name} did not start:\n{server.output()}")
            time.sleep(0.005)
        return server

    def stop(self) -> None:
        """Ask the process group to end, and wait for it."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def output(self) -> str:
        """The end of what the server printed."""
        self.log.seek(0)
        return self.log.read().decode("utf-8", "replace")[-4000:]

    def memory(self) -> dict[int, int]:
        """Resident bytes of the process and its descendants, by process id."""
        found = {}
        waiting = [self.process.pid]
        while waiting:
            pid = waiting.pop()
            found[pid] = _resident(pid)
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            waiting.extend(map(int, children))
        return found

    def _answers(self, path: str) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=2) as reply:
                return bool(reply.status == 200)
        except (URLError, OSError):
            return False


def _resident(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0
