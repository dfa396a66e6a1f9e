"""The models that are loaded: who uses them, how long they stay, and which of them goes first."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator

    from modelkit.serve.scheduling.entry import Entry


class Roster:
    """The loaded models by key. All methods belong to one event loop."""

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}
        self._endings: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(list(self._entries.values()))

    @property
    def busy(self) -> bool:
        """Is any of them being used?"""
        return any(entry.users for entry in self)

    def get(self, key: str) -> Entry | None:
        """The entry of a key, dead or retiring ones included."""
        return self._entries.get(key)

    def add(self, entry: Entry) -> None:
        """The entry's runner is ready to be used."""
        self._entries[entry.key] = entry

    def enter(self, entry: Entry, keep_alive: float | None) -> None:
        """A request begins to use the entry; keep_alive is seconds, None leaves what holds."""
        entry.users += 1
        entry.idle.clear()
        if keep_alive is not None:
            entry.keep_alive = seconds(keep_alive)
        entry.touch()

    def leave(self, entry: Entry) -> None:
        """A request is done with the entry."""
        entry.users -= 1
        if not entry.users:
            entry.idle.set()
            if not entry.retiring:
                self._rest(entry)

    async def retire(self, entry: Entry) -> None:
        """Let nobody else in, wait for those inside, end the runner."""
        entry.retiring = True
        try:
            if entry.users and entry.runner.alive:
                await entry.idle.wait()
        except asyncio.CancelledError:
            # Whoever needed the room has gone, so the model may stay.
            entry.retiring = False
            if not entry.users:
                self._rest(entry)
            raise
        self.remove(entry)
        await self.settle()

    async def retire_one(self) -> None:
        """Retire the dead, then the idle, then the busy; shortest keep-alive first."""
        await self.retire(min(self._entries.values(), key=_worth))

    def remove(self, entry: Entry) -> None:
        """Forget the entry and end its runner in the background."""
        entry.touch()
        entry.retiring = True
        if self._entries.get(entry.key) is entry:
            del self._entries[entry.key]
            self._background(entry.runner.close())

    async def settle(self) -> None:
        """Wait until every runner that was told to end has ended."""
        if self._endings:
            await asyncio.wait(self._endings)

    def _rest(self, entry: Entry) -> None:
        """The entry became idle: unload it now, later or never."""
        entry.touch()
        if entry.keep_alive == 0 or not entry.runner.alive:
            self.remove(entry)
        elif entry.keep_alive < math.inf:
            loop = asyncio.get_running_loop()
            entry.timer = loop.call_later(entry.keep_alive, self.remove, entry)

    def _background(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._endings.add(task)
        task.add_done_callback(self._endings.discard)


def _worth(entry: Entry) -> tuple[bool, bool, float, str]:
    return entry.runner.alive, entry.users > 0, entry.keep_alive, entry.key


def seconds(keep_alive: float) -> float:
    """A keep_alive as a time: a negative one is for ever."""
    return math.inf if keep_alive < 0 else keep_alive
