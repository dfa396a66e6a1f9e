"""llama.cpp's log, and what it says that no function returns."""

from __future__ import annotations

import re
import sys
from collections import deque
from typing import ClassVar

from modelkit.serve.runner.llama.binding import api

# ggml's own numbers: the binding's comment on them is out of date.
_INFO, _WARN, _ERROR, _CONTINUED = 2, 3, 4, 5
_LETTERS = {_INFO: "I", _WARN: "W", _ERROR: "E"}
_BUFFER_SIZE = re.compile(r"buffer size = +([0-9.]+) MiB")


class Log:
    """llama.cpp's log: errors are remembered, INFO and above go to stderr as `I text`, `E text`."""

    _current: ClassVar[Log]

    def __init__(self) -> None:
        self.errors: deque[str] = deque(maxlen=20)
        self.buffer_bytes = 0
        self._level = _INFO
        self._callback = api.llama_log_callback(self._receive)
        api.llama_log_set(self._callback, None)
        # llama.cpp keeps the bare pointer: the callback must live until there is another one.
        Log._current = self

    def _receive(self, level: int, text: bytes, _: object) -> None:
        continued = level == _CONTINUED
        self._level = self._level if continued else level
        if self._level not in _LETTERS:
            return
        line = text.decode("utf-8", "replace")
        prefix = "" if continued else f"{_LETTERS[self._level]} "
        sys.stderr.write(prefix + line)
        if self._level == _ERROR and not continued:
            self.errors.append(line.strip())
        elif size := _BUFFER_SIZE.search(line):
            self.buffer_bytes += int(float(size[1]) * 2**20)

    def reason(self) -> str:
        """The first error since the last call, without llama.cpp's function names."""
        if not self.errors:
            return "llama.cpp gave no reason"
        text = re.sub(r"^\w+: ", "", self.errors[0]).removeprefix("error loading model: ")
        self.errors.clear()
        return " ".join(text.split())
