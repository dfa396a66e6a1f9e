"""Token bytes to text that may be sent: whole characters, and no part of a stop string."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_new_decoder = codecs.getincrementaldecoder("utf-8")


class TextStream:
    """Decodes UTF-8 across tokens and holds text back while it may be the start of a stop string.

    `emitted` counts the characters returned so far, `length` those and the held ones; `stop` is
    the stop string that ended the text.
    """

    def __init__(self, stop: Sequence[str] = ()) -> None:
        self._decoder = _new_decoder("replace")
        self._stops = [text for text in stop if text]
        self._held = ""
        self.emitted = 0
        self.stop: str | None = None

    @property
    def stopped(self) -> bool:
        return self.stop is not None

    @property
    def length(self) -> int:
        return self.emitted + len(self._held)

    def feed(self, piece: bytes) -> str:
        """The text that is safe to send now; sets `stop` when a stop string is complete."""
        text = self._decoder.decode(piece)
        if not self._stops:
            self.emitted += len(text)
            return text
        self._held += text
        found = {stop: at for stop in self._stops if (at := self._held.find(stop)) >= 0}
        if found:
            self.stop = min(found, key=found.__getitem__)
            return self._release(found[self.stop])
        return self._release(len(self._held) - self._overlap())

    def flush(self) -> str:
        """What is still held when no more tokens come; an unfinished character is dropped."""
        return self._release(len(self._held))

    def _release(self, count: int) -> str:
        text, self._held = self._held[:count], "" if self.stopped else self._held[count:]
        self.emitted += len(text)
        return text

    def _overlap(self) -> int:
        """The length of the longest end of the held text that begins a stop string."""
        return max(_overlap(self._held, stop) for stop in self._stops)


def _overlap(text: str, stop: str) -> int:
    for size in range(min(len(text), len(stop) - 1), 0, -1):
        if text.endswith(stop[:size]):
            return size
    return 0
