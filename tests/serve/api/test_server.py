"""The process that serves: its socket, its start and its end."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

import pytest

from modelkit.store import Store

RUN = """
import sys
from pathlib import Path
from modelkit.address import Address
from modelkit.serve.server import run
from modelkit.store import Store
run(Store(Path(sys.argv[1])), Address.parse(sys.argv[2]))
"""


def start(store: Store, address: str = "127.0.0.1:0") -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", RUN, str(store.root), address],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ,
    )


def first_line(process: subprocess.Popen[str]) -> str:
    stream: IO[str] | None = process.stderr
    assert stream is not None
    return stream.readline()


def port_of(line: str) -> int:
    found = re.fullmatch(r"Listening on http://127\.0\.0\.1:(\d+)\n", line)
    assert found, line
    return int(found[1])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_server_quietly(store: Store, number: signal.Signals) -> None:
    process = start(store)
    port = port_of(first_line(process))
    with socket.create_connection(("127.0.0.1", port), timeout=10) as open_connection:
        open_connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert open_connection.recv(1000).startswith(b"HTTP/1.1 200")
        process.send_signal(number)
        _, rest = process.communicate(timeout=15)
    assert process.returncode == 0
    assert re.fullmatch(r".* INFO request method=GET path=/ status=200 .*\n", rest)


def test_old_garbage_is_gone_after_the_start(store: Store) -> None:
    store.blobs.mkdir(parents=True)
    old, young = store.blobs / ("sha256-" + "0" * 64), store.blobs / ("sha256-" + "1" * 64)
    for path in (old, young):
        path.write_bytes(b"x")
    two_hours_ago = time.time() - 7200
    os.utime(old, (two_hours_ago, two_hours_ago))
    process = start(store)
    first_line(process)
    process.terminate()
    process.communicate(timeout=15)
    assert (old.exists(), young.exists()) == (False, True)


def test_the_first_start_makes_the_key_that_ollamas_registry_asks_for(store: Store) -> None:
    key = Path.home() / ".modelkit" / "id_ed25519"
    made = set()
    for _ in range(2):
        process = start(store)
        first_line(process)
        process.terminate()
        assert process.communicate(timeout=15)[1] == ""
        made.add(key.read_bytes())
    assert len(made) == 1
    assert key.stat().st_mode & 0o777 == 0o600
    assert key.with_suffix(".pub").read_text().startswith("ssh-ed25519 ")


def test_noprune_keeps_it(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_NOPRUNE", "1")
    store.blobs.mkdir(parents=True)
    old = store.blobs / ("sha256-" + "0" * 64)
    old.write_bytes(b"x")
    os.utime(old, (0, 0))
    process = start(store)
    first_line(process)
    process.terminate()
    process.communicate(timeout=15)
    assert old.exists()


def test_a_store_that_cannot_be_written_is_served_all_the_same(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    process = start(Store(file / "models"))
    port_of(first_line(process))
    process.terminate()
    process.communicate(timeout=15)
    assert process.returncode == 0
