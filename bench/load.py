"""Does an overloaded server stay correct and awake? Many clients, a queue that is too short.

Usage: python -m bench.load [--clients 200] [--requests 2000] [--queue 50] [--pause 1]

The clients ask `modelkit serve` in eight ways (native and OpenAI's, streamed and not) for two
models of which it may load one at a time; one that was refused comes again after a pause. Each
compares what it gets with the only right answer; a process of its own asks for /api/version all the
while. Exits with 1 when an answer was lost, mixed up or of another status than 200 and the
documented 503, when the queue was never full, or when the 99th percentile of /api/version is above
50 ms.
"""

import argparse
import asyncio
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from multiprocessing.connection import Connection
from pathlib import Path

from bench.engine.server import Server, free_port
from modelkit.store import Store
from tests.serve.load import ANSWERED, REFUSED, add_models, load

_LIMIT = 0.050  # seconds, for the 99th percentile of /api/version
_INTERVAL = 0.02  # seconds between two of these
_WARMING = 80  # requests one after the other, for both models: what is first takes longer
_IDLE = 2.0  # seconds of the same without load, to compare with


def _probe(port: int, end: Connection) -> None:
    """Ask for /api/version until told to stop; sends back the seconds that each answer took."""
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    seconds = []
    while not end.poll(_INTERVAL):
        began = time.perf_counter()
        connection.request("GET", "/api/version")
        answer = connection.getresponse()
        answer.read()
        seconds.append(time.perf_counter() - began)
        if answer.status != 200:
            raise SystemExit(f"Error: /api/version answered {answer.status}")
    end.send(seconds)


@contextmanager
def _probing(port: int) -> Iterator[list[float]]:
    """Measure /api/version meanwhile; the list is filled at the end."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_probe, args=(port, theirs))
    process.start()
    theirs.close()
    seconds: list[float] = []
    try:
        yield seconds
    finally:
        ours.send(None)
        seconds += ours.recv()
        process.join()


@contextmanager
def _serving(folder: Path, clients: int, queue: int) -> Iterator[int]:
    store, port = Store(folder / "models"), free_port()
    add_models(store, folder, clients)
    command = (sys.executable, "-m", "modelkit", "serve", "--listen", f"127.0.0.1:{port}")
    settings = {
        "MODELKIT_MODELS": str(store.root),
        "MODELKIT_MAX_LOADED_MODELS": "1",
        "MODELKIT_MAX_QUEUE": str(queue),
    }
    server = Server.start("modelkit", command, port, ready="/api/version", environment=settings)
    try:
        yield port
    finally:
        server.stop()


def _percentile(seconds: list[float], share: float) -> float:
    return sorted(seconds)[int(share * (len(seconds) - 1))]


def _row(title: str, seconds: list[float]) -> str:
    median, slow, slowest = (1000 * _percentile(seconds, share) for share in (0.5, 0.99, 1.0))
    return (
        f"/api/version {title}: p50 {median:.1f} ms, p99 {slow:.1f} ms, slowest {slowest:.1f} ms, "
        f"{len(seconds)} times"
    )


def main() -> int:
    """Load, count and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--queue", type=int, default=50, help="MODELKIT_MAX_QUEUE")
    parser.add_argument("--pause", type=float, default=1.0, help="seconds after a 503, about")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as name,
        _serving(Path(name), options.clients, options.queue) as port,
    ):
        asyncio.run(load(port, 1, _WARMING, pause=0.0))
        with _probing(port) as idle:
            time.sleep(_IDLE)
        with _probing(port) as seconds:
            began = time.monotonic()
            outcomes = asyncio.run(
                load(port, options.clients, options.requests, pause=options.pause)
            )
            took = time.monotonic() - began
    print(f"{options.requests} requests of {options.clients} clients in {took:.1f} s")
    for outcome, count in outcomes.most_common():
        print(f"  {count:6,} {outcome}")
    print(_row("without load", idle))
    print(_row("meanwhile", seconds), flush=True)
    slow = _percentile(seconds, 0.99) > _LIMIT
    return int(slow or outcomes.keys() != {ANSWERED, REFUSED})


if __name__ == "__main__":
    sys.exit(main())
