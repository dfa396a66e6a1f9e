"""From an offset in a text to the line and column an editor shows."""

import re
from bisect import bisect_right

_NEWLINE = re.compile(r"\r\n|\r|\n")


class Lines:
    """The lines of a text; CRLF, CR and LF each end one line. Lines and columns count from 1."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._starts = [0, *(newline.end() for newline in _NEWLINE.finditer(text))]

    def at(self, offset: int) -> tuple[int, int]:
        """The line and column of the character at `offset`."""
        line = bisect_right(self._starts, offset)
        return line, offset - self._starts[line - 1] + 1

    def offset(self, line: int, column: int) -> int:
        """The offset of a place; the nearest one in the text when there is no such place."""
        start = self._starts[min(max(line, 1), len(self._starts)) - 1]
        return min(start + max(column, 1) - 1, len(self._text))

    def text(self, line: int) -> str:
        """One line without its line end."""
        start = self._starts[line - 1]
        newline = _NEWLINE.search(self._text, start)
        return self._text[start : newline.start() if newline else None]
