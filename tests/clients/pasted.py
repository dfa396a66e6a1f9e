"""Commands as a person pastes them into a shell, and what is expected of their answers."""

import json
import os
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from tests.clients.shared import assert_nearness

DOCUMENTED = "http://localhost:11434"
# Where a person reads the status on the screen, the test reads it from the end of stderr.
CURLRC = """
silent
show-error
max-time = 120
noproxy = "*"
write-out = "%{stderr}%{http_code}"
"""

Kind = Literal["json", "lines", "events", "text"]


@dataclass(frozen=True)
class Pasted:
    """A command and its answer: the value at a path ("message.content") is equal to the expected
    one, matches it when that is a pattern, or passes it when that is a function.

    A stream is put together first: texts and tool calls are joined, of the rest the last stands.
    """

    about: str
    command: str
    expected: dict[str, object] = field(default_factory=dict)
    kind: Kind = "json"
    status: int = 200

    def run(self, folder: Path, url: str, registry: str) -> None:
        """Run the command in a folder against the server at `url`, and look at the answer."""
        command = self.command.replace(DOCUMENTED, url).replace("localhost:5000", registry)
        done = subprocess.run(
            ["sh", "-euc", command],
            cwd=folder,
            env=os.environ | {"HOME": str(folder)},
            capture_output=True,
            text=True,
            timeout=150,
        )
        assert done.returncode == 0, done.stderr
        assert done.stderr == str(self.status), done.stdout
        answer = _READERS[self.kind](done.stdout)
        for path, expected in self.expected.items():
            _look(_at(answer, path), expected, f"{path} of {done.stdout}")


def contents(expected: object) -> Callable[[str], None]:
    """A text that is this value as JSON."""

    def look(text: str) -> None:
        assert json.loads(text) == expected

    return look


def embedded(vectors: list[list[float]]) -> None:
    """The vectors of the three texts."""
    assert_nearness(vectors)


def positive(number: float) -> None:
    assert number > 0


def _look(found: Any, expected: object, where: str) -> None:
    if isinstance(expected, re.Pattern):
        assert expected.search(found), where
    elif callable(expected):
        expected(found)
    else:
        assert found == expected, where


def _at(answer: Any, path: str) -> Any:
    """The value at a path; `*` takes the rest of the path in each item; "" is the whole."""
    for position, key in enumerate(keys := path.split(".") if path else []):
        if key == "*":
            return [_at(item, ".".join(keys[position + 1 :])) for item in answer]
        answer = answer[int(key)] if isinstance(answer, list) else answer.get(key)
    return answer


def _lines(body: str) -> Any:
    """A stream of Ollama's: a line is an object, and the last one alone is done."""
    parts = [json.loads(line) for line in body.splitlines()]
    assert len(parts) > 2, body
    if "done" in parts[0]:
        assert [part["done"] for part in parts] == [False] * (len(parts) - 1) + [True]
    return _joined(parts)


def _events(body: str) -> Any:
    """A stream of server-sent events."""
    data = [line.removeprefix("data: ") for line in body.splitlines() if line.startswith("data: ")]
    parts = [json.loads(one) for one in data if one != "[DONE]"]
    assert len(parts) > 2, body
    return _joined(parts) | {"types": [part.get("type") for part in parts], "end": data[-1]}


def _joined(parts: list[Any]) -> dict[str, Any]:
    whole: dict[str, Any] = {}
    for part in parts:
        _add(whole, part)
    return whole


_TEXTS = {"response", "content", "thinking", "text", "delta", "partial_json"}


def _add(whole: dict[str, Any], part: dict[str, Any]) -> None:
    for key, one in part.items():
        had = whole.get(key)
        if key in _TEXTS and isinstance(one, str) and isinstance(had, str):
            whole[key] = had + one
        elif isinstance(one, dict) and isinstance(had, dict):
            _add(had, one)
        elif key == "choices" and had and one:
            _add(had[0], one[0])
        elif key == "tool_calls" and had:
            had.extend(one)
        elif one not in (None, []) or key not in whole:
            whole[key] = one


def _text(body: str) -> str:
    return body


_READERS: dict[Kind, Callable[[str], Any]] = {
    "json": json.loads,
    "lines": _lines,
    "events": _events,
    "text": _text,
}
