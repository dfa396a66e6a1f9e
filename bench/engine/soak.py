"""Mixed load for a long time, and whether anything grows meanwhile."""

import asyncio
import contextlib
import random
import statistics
import time
from dataclasses import dataclass, field
from pathlib import Path

from bench.engine.client import post
from bench.engine.server import Server

_WORDS = [f"w{number}" for number in range(1, 500)]
_CHATS = 3  # conversations at a time
_GROWTH = 1.25  # a later figure may be this many times an earlier one
_MEGABYTE = 1 << 20
_SLACK = {"server": 16 * _MEGABYTE, "runners": 64 * _MEGABYTE, "descriptors": 8, "median": 0.02}
"""By how much a figure may grow in any case: bytes, descriptors, seconds."""


@dataclass
class Minute:
    """What one minute measured: resident bytes, open descriptors, seconds per request."""

    server: int
    runners: int
    descriptors: int
    latencies: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        return statistics.median(self.latencies) if self.latencies else 0.0

    @property
    def slow(self) -> float:
        """The 99th percentile."""
        ranked = sorted(self.latencies) or [0.0]
        return ranked[int(0.99 * (len(ranked) - 1))]

    def row(self, number: int) -> str:
        return (
            f"{number:4d}  {self.server / _MEGABYTE:7.1f}  {self.runners / _MEGABYTE:8.1f}  "
            f"{self.descriptors:4d}  {len(self.latencies):6d}  {self.median:7.3f}  {self.slow:7.3f}"
        )


async def soak(server: Server, chat: str, embedder: str, *, minutes: float) -> list[str]:
    """Chats, embeddings, clients that leave, models that come and go; returns what grew."""
    load = _Load(server, chat, embedder)
    tasks = [asyncio.create_task(load.chat(seed)) for seed in range(_CHATS)]
    tasks += [asyncio.create_task(work) for work in (load.embed(), load.leave(), load.unload())]
    measured: list[Minute] = []
    print("   min  server MB  runners MB  fds  requests  p50 s  p99 s")
    try:
        for number in range(max(3, round(minutes))):
            await asyncio.sleep(min(60.0, 20.0 * minutes))
            measured.append(load.minute())
            print(measured[-1].row(number + 1), flush=True)
            for task in tasks:
                if task.done():
                    return [f"the load ended: {task.exception()!r}"]
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return grown(measured)


def grown(minutes: list[Minute]) -> list[str]:
    """What the last third of the minutes had clearly more of than the first; the first warms up."""
    third = max(1, len(minutes) // 3)
    early, late = minutes[1 : 1 + third], minutes[-third:]
    wrong = []
    for name, slack in _SLACK.items():
        before = statistics.median(getattr(minute, name) for minute in early)
        after = statistics.median(getattr(minute, name) for minute in late)
        if after > _GROWTH * before and after - before > slack:
            wrong.append(f"{name} grew from {before:g} to {after:g}")
    return wrong


class _Load:
    """Clients of one server; latencies are of whole answers to equal chat requests."""

    def __init__(self, server: Server, chat: str, embedder: str) -> None:
        self._server = server
        self._chat = chat
        self._embedder = embedder
        self._latencies: list[float] = []

    def minute(self) -> Minute:
        """What was measured since the last call."""
        memory = self._server.memory()
        own = memory.pop(self._server.process.pid)
        folder = Path(f"/proc/{self._server.process.pid}/fd")
        latencies, self._latencies = self._latencies, []
        return Minute(own, sum(memory.values()), len(list(folder.iterdir())), latencies)

    async def chat(self, seed: int) -> None:
        """A conversation after another, each of a few turns."""
        words = random.Random(seed)
        while True:
            messages: list[dict[str, str]] = []
            for _ in range(3):
                text = " ".join(words.choices(_WORDS, k=20))
                messages.append({"role": "user", "content": text})
                started = time.perf_counter()
                answer = await self._post("/api/chat", self._chat, messages=messages)
                self._latencies.append(time.perf_counter() - started)
                messages.append({"role": "assistant", "content": answer or "w1"})

    async def embed(self) -> None:
        """Batches of texts; the model is unloaded in between by `unload`."""
        words = random.Random(10)
        while True:
            texts = [" ".join(words.choices(_WORDS, k=12)) for _ in range(32)]
            await self._post("/api/embed", self._embedder, input=texts)
            await asyncio.sleep(0.2)

    async def leave(self) -> None:
        """Clients that hang up in the middle of an answer."""
        words = random.Random(11)
        while True:
            work = self._post("/api/generate", self._chat, prompt="w1 " * words.randrange(1, 800))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(work, words.random())

    async def unload(self) -> None:
        """Now one model is unloaded, now the other."""
        while True:
            for path, model in (("/api/embed", self._embedder), ("/api/generate", self._chat)):
                await asyncio.sleep(10)
                await self._post(path, model, keep_alive=0)

    async def _post(self, path: str, model: str, **body: object) -> str:
        options = {"num_predict": 32, "num_ctx": 2048}
        answer = await post(self._server.port, path, {"model": model, "options": options, **body})
        return answer.text
