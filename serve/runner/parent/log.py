"""The last lines a runner wrote to stderr, and what they say about why it died."""

from __future__ import annotations

import logging
import signal
from collections import deque

logger = logging.getLogger("modelkit.runner")

_KEPT_LINES = 20
_ROUTINE = ("I ", "W ")


class LogTail:
    """Collects a runner's stderr line by line; every line also goes to the debug log."""

    def __init__(self) -> None:
        self._lines: deque[str] = deque(maxlen=_KEPT_LINES)
        self._partial = ""

    def feed(self, data: bytes) -> None:
        *lines, self._partial = (self._partial + data.decode("utf-8", "replace")).split("\n")
        for line in lines:
            logger.debug("%s", line)
            self._lines.append(line)

    def text(self) -> str:
        """Everything kept, oldest first."""
        return "\n".join([*self._lines, self._partial]).strip()

    def reason(self, returncode: int | None) -> str:
        """How the process ended and the last line that is no routine message, in one line."""
        lines = [line.strip() for line in self.text().splitlines()]
        telling = [line for line in lines if line and not line.startswith(_ROUTINE)]
        ending = _ending(returncode)
        return f"{ending}: {telling[-1].removeprefix('E ')}" if telling else ending


def _ending(returncode: int | None) -> str:
    if returncode is None:
        return "its connection closed"
    if returncode >= 0:
        return f"exit status {returncode}"
    try:
        return f"killed by {signal.Signals(-returncode).name}"
    except ValueError:
        return f"killed by signal {-returncode}"
