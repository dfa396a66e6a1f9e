"""Where the JSON objects are in a text that comes in pieces."""

import re

_MARK = re.compile(r'["\\{}]')


class ObjectScanner:
    """Finds objects by their braces, strings respected; each character is looked at once."""

    def __init__(self) -> None:
        self._position = 0
        self._start = 0
        self._depth = 0
        self._in_string = False

    def next(self, text: str) -> tuple[int, int] | None:
        """Start and end of the next whole object; None until one is complete.

        `text` begins with the text of the call before.
        """
        while mark := _MARK.search(text, self._position):
            self._position = mark.end()
            if self._ends_at(mark):
                return self._start, mark.end()
        self._position = max(self._position, len(text))
        return None

    def _ends_at(self, mark: re.Match[str]) -> bool:
        """Take in one brace, quote or backslash; whether it closes an outermost object."""
        match mark[0]:
            case '"':
                # Outside of objects a quote is just a quote.
                self._in_string = self._depth > 0 and not self._in_string
            case "\\" if self._in_string:
                self._position += 1
            case "{" if not self._in_string:
                self._start = self._start if self._depth else mark.start()
                self._depth += 1
            case "}" if self._depth and not self._in_string:
                self._depth -= 1
                return self._depth == 0
        return False
