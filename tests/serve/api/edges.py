"""Tables of edge cases: what is sent to a server, step by step, and what must come back.

The specification has two lists: that of Ollama's API, whose tables are beside this file, and that
of everything else, whose tables are beside the tests of what they are about; for the places see
tests/test_edge_cases.py.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from modelkit.names import ModelName
from modelkit.store import Store
from tests.serve.api.harness import Answer, Server

Expected = None | str | Mapping[str, Any] | list[Any] | re.Pattern[str] | Callable[[Answer], object]


@dataclass(frozen=True)
class Step:
    """One request and its answer.

    `expected`: the error, or the body where there is none; keys and values that the last line has;
    all lines; a pattern in the body; a condition.
    """

    request: str
    body: object = None
    status: int = 200
    expected: Expected = None
    headers: dict[str, str] = field(default_factory=dict)

    def play(self, server: Server) -> None:
        """Send the request and compare."""
        method, path = self.request.split(" ", 1)
        answer = server.request(method, path, self.body, self.headers)
        assert answer.status == self.status, answer.body
        self._compare(answer)

    def _compare(self, answer: Answer) -> None:
        match self.expected:
            case None:
                return
            case str() if self.status >= 400 and answer.body.startswith(b"{"):
                assert answer.error == self.expected
            case str():
                assert answer.body.decode() == self.expected
            case list():
                assert answer.lines == self.expected
            case re.Pattern():
                assert self.expected.search(answer.body.decode()), answer.body
            case Mapping():
                last = answer.lines[-1]
                assert {key: last.get(key) for key in self.expected} == self.expected
            case _:
                assert self.expected(answer), answer.body


@dataclass(frozen=True)
class Edge:
    """One case of the list: its number there and the steps that show it."""

    number: int
    steps: tuple[Step, ...]

    def play(self, server: Server) -> None:
        """All steps in order."""
        for step in self.steps:
            step.play(server)


def share(source: Store, name: str, store: Store) -> None:
    """Give a store of a test's own a model that another one has."""
    manifest = source.manifest(ModelName.parse(name))
    for descriptor in manifest.descriptors():
        store.add_file(source.blob_path(descriptor.digest))
    store.write_manifest(ModelName.parse(name), manifest)


def edge(number: int, *steps: Step) -> Edge:
    return Edge(number, steps)


def each(edges: Iterable[Edge]) -> pytest.MarkDecorator:
    """A test for each row of a table."""
    rows = [pytest.param(row, id=str(row.number)) for row in edges]
    return pytest.mark.parametrize("row", rows)


def chat(
    model: str, text: str = "", status: int = 200, expected: Expected = None, **body: Any
) -> Step:
    """A conversation of one question; none only loads."""
    messages = [{"role": "user", "content": text}] if text else []
    body = {"model": model, "messages": messages} | body
    return Step("POST /api/chat", body, status, expected)


def generate(
    model: str, prompt: str = "", status: int = 200, expected: Expected = None, **body: Any
) -> Step:
    return Step("POST /api/generate", {"model": model, "prompt": prompt} | body, status, expected)


def create(name: str, status: int = 200, expected: Expected = None, **body: Any) -> Step:
    """A build that is not streamed; `base` stands for `from`."""
    if "base" in body:
        body["from"] = body.pop("base")
    body = {"model": name, "stream": False} | body
    return Step("POST /api/create", body, status, expected)


def show(name: str, status: int = 200, expected: Expected = None, **body: Any) -> Step:
    return Step("POST /api/show", {"model": name} | body, status, expected)


def delete(name: str, status: int = 200, expected: Expected = None) -> Step:
    return Step("DELETE /api/delete", {"model": name}, status, expected)


def prompt(text: str) -> Callable[[Answer], object]:
    """What `_debug_render_only` must show."""

    def same(answer: Answer) -> bool:
        rendered = answer.json["_debug_info"]["rendered_template"]
        assert rendered == text
        return True

    return same
