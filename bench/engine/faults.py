"""Does the server survive? Killed runners, clients that leave, a model that makes llama.cpp abort,
and hours of mixed load.

Usage: python -m bench.engine.faults [--kills 200] [--streams 16] [--leaves 100] [--aborts 3]
                                     [--soak MINUTES]

Prints what happened and exits with 1 when a stream had no proper end within two seconds of a kill
(an error object, or text without a longer pause from the next runner), the next request failed, a
slot stayed taken, an abort was no 500 with its reason, or memory, descriptors or latency grew.
"""

import argparse
import asyncio
import contextlib
import os
import random
import signal
import statistics
import sys
import time
from collections.abc import Iterator

from bench.engine.client import Answer, post
from bench.engine.models import FOLDER, hostile, minilm, synthetic
from bench.engine.server import Server, free_port
from bench.engine.soak import soak

CHAT = "synthetic-q8_0"
_PROMPT = "w1 w2 w3 w4 w5 w6 w7 w8"
_LIMIT = 2.0  # seconds from a kill to the end of every stream, or to its next runner's text
_SLOT_LIMIT = 1.0  # seconds from a client's leaving to the first token of the next request


@contextlib.contextmanager
def started(**settings: str) -> Iterator[Server]:
    """A server over the models of the measurements, stopped in the end."""
    port = free_port()
    command = (sys.executable, "-m", "modelkit", "serve", "--listen", f"127.0.0.1:{port}")
    environment = {"MODELKIT_MODELS": str(FOLDER / "models"), **settings}
    server = Server.start("modelkit", command, port, ready="/api/version", environment=environment)
    try:
        yield server
    finally:
        server.stop()


async def generate(server: Server, tokens: int) -> Answer:
    """One streamed answer; raises RuntimeError for an error object."""
    body = {"model": CHAT, "prompt": _PROMPT, "options": {"num_predict": tokens, "num_ctx": 2048}}
    return await post(server.port, "/api/generate", body)


async def outcome(stream: "asyncio.Task[Answer]", since: float) -> tuple[str, float]:
    """How a stream ended (text, error, or what was wrong with it) and how long it said nothing.

    The second is the longest silence of a text, in seconds, and else the time from `since`.
    """
    try:
        answer = await stream
        return "text", max([answer.first, *answer.gaps])
    except RuntimeError:
        how = "error"
    except (OSError, EOFError, ValueError, IndexError) as error:
        how = f"broken: {error!r}"
    return how, time.perf_counter() - since


async def kill_runners(server: Server, times: int, streams: int) -> list[str]:
    """Kill the runner at random moments under streams; returns what went wrong.

    A request that comes while the old runner dies is answered in full, by the next one.
    """
    wrong: list[str] = []
    moments, slowest, answered = random.Random(1), 0.0, 0
    for turn in range(times):
        await generate(server, 1)
        tasks = [asyncio.create_task(generate(server, 200)) for _ in range(streams)]
        await asyncio.sleep(moments.random())
        killed = time.perf_counter()
        for pid in server.memory().keys() - {server.process.pid}:
            os.kill(pid, signal.SIGKILL)
        ends = await asyncio.gather(*(outcome(task, killed) for task in tasks))
        slowest = max(slowest, *(silence for _, silence in ends))
        answered += sum(how == "text" for how, _ in ends)
        wrong += [f"kill {turn}: {how}" for how, _ in ends if how not in ("text", "error")]
    await generate(server, 1)
    print(
        f"{times} kills under {streams} streams: longest silence {slowest:.2f} s, "
        f"{answered} answered by the next runner, {len(wrong)} broken"
    )
    return wrong + ([f"a stream was silent for {slowest:.1f} s"] if slowest > _LIMIT else [])


async def leave(server: Server, times: int) -> list[str]:
    """Clients leave at random moments; with one slot, the next answer shows that it is free."""
    await generate(server, 1)
    moments, waits = random.Random(2), []
    for _ in range(times):
        stream = asyncio.create_task(generate(server, 2000))
        await asyncio.sleep(0.3 * moments.random())
        stream.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await stream
        waits.append((await generate(server, 1)).first)
    print(f"{times} clients left: next first token median {statistics.median(waits):.3f} s, "
          f"slowest {max(waits):.3f} s")  # fmt: skip
    return ["a slot stayed taken"] if max(waits) > _SLOT_LIMIT else []


async def abort(server: Server, times: int) -> list[str]:
    """Load a model that makes llama.cpp abort beside one that answers all the while."""
    name = hostile().name
    wrong: list[str] = []
    for turn in range(times):
        stream = asyncio.create_task(generate(server, 200))
        try:
            await post(server.port, "/api/generate", {"model": name, "prompt": _PROMPT})
            wrong.append(f"abort {turn}: it answered")
        except RuntimeError as error:
            if not (" 500 " in str(error) and "SIGABRT" in str(error)):
                wrong.append(f"abort {turn}: {error}")
        how, _ = await outcome(stream, time.perf_counter())
        wrong += [] if how == "text" else [f"abort {turn}: the stream beside it: {how}"]
    print(f"{times} models made llama.cpp abort: {len(wrong)} wrong answers")
    return wrong


def main() -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--streams", type=int, default=16)
    parser.add_argument("--leaves", type=int, default=100)
    parser.add_argument("--aborts", type=int, default=3)
    parser.add_argument("--soak", type=float, default=0.0, metavar="MINUTES")
    options = parser.parse_args()
    models = (synthetic("q8_0").name, minilm().name)
    wrong: list[str] = []
    if options.kills:
        with started() as server:
            wrong += asyncio.run(kill_runners(server, options.kills, options.streams))
    if options.leaves:
        with started(MODELKIT_NUM_PARALLEL="1") as server:
            wrong += asyncio.run(leave(server, options.leaves))
    if options.aborts:
        with started() as server:
            wrong += asyncio.run(abort(server, options.aborts))
    if options.soak:
        with started() as server:
            wrong += asyncio.run(soak(server, *models, minutes=options.soak))
    for line in wrong[:20]:
        print(f"WRONG: {line}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
