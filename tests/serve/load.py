"""Many clients at once, each of which knows the only right answer to its own questions."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from modelkit.store import Store
from tests.serve.scripted import add_script

ANSWERED, REFUSED, MIXED, LOST = "answered", "refused as busy", "mixed", "lost"
_BUSY = "server busy, please try again.  maximum pending requests exceeded"
_MODELS = ("left", "right")
_WORDS = 6
_TURN = 67
"""One request in so many asks for the other model, and makes the server load it."""


class Route(NamedTuple):
    """A way to ask: `text` reads an answer, raising ValueError or LookupError for half of one."""

    path: str
    body: Callable[[str], dict[str, Any]]
    text: Callable[[bytes], str]


def add_models(store: Store, folder: Path, clients: int) -> None:
    """Two models, of which each has an answer of its own to each client."""
    for model in _MODELS:
        scripts = {f"<{client}>": _words(model, client) for client in range(clients)}
        add_script(store, folder, model, scripts, "{{ .Prompt }}")


def _words(model: str, client: int) -> list[str]:
    return [f" {model}-{client}-{number}" for number in range(_WORDS)]


async def load(
    port: int, clients: int, requests: int, *, pause: float, patience: float = 60.0
) -> Counter[str]:
    """How many requests had which outcome; other statuses than 200 and 503 count by themselves.

    A client that was refused comes again after about `pause` seconds. An answer that takes longer
    than `patience` seconds is lost.
    """
    outcomes: Counter[str] = Counter()
    turns = iter(range(requests))
    async with asyncio.TaskGroup() as group:
        for client in range(clients):
            group.create_task(_client(port, client, turns, pause, patience, outcomes))
    return outcomes


async def _client(
    port: int,
    client: int,
    turns: Iterator[int],
    pause: float,
    patience: float,
    outcomes: Counter[str],
) -> None:
    """One question after the other, on one connection as long as it lasts."""
    connection, moments = _Connection(port), Random(client)
    for turn in turns:
        model = _MODELS[turn % _TURN == _TURN - 1]
        route = _ROUTES[turn % len(_ROUTES)]
        body = {"model": model, **route.body(f"<{client}>")}
        try:
            async with asyncio.timeout(patience):
                status, answer = await connection.post(route.path, body)
            outcome = _outcome(status, answer, route, "".join(_words(model, client)))
        except (OSError, EOFError, ValueError, LookupError) as error:
            outcome = f"{LOST}: {error!r}"
            connection.close()
        outcomes[outcome] += 1
        if outcome == REFUSED:
            await asyncio.sleep(moments.uniform(0.5, 1.5) * pause)
    connection.close()


def _outcome(status: int, answer: bytes, route: Route, expected: str) -> str:
    if status == 503:
        error = json.loads(answer)["error"]
        reason = error if isinstance(error, str) else error["message"]
        return REFUSED if reason == _BUSY else f"503 for another reason: {reason}"
    if status != 200:
        return f"{status}: {answer[:200]!r}"
    return ANSWERED if route.text(answer) == expected else MIXED


class _Connection:
    """HTTP/1.1 to loopback, opened when it is needed."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def post(self, path: str, body: dict[str, Any]) -> tuple[int, bytes]:
        """The status and the whole body; EOFError when it ends too early."""
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        data = json.dumps(body).encode()
        head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(data)}\r\n"
        writer.write(head.encode() + b"Content-Type: application/json\r\n\r\n" + data)
        status, headers = _head(await reader.readuntil(b"\r\n\r\n"))
        if "content-length" in headers:
            answer = await reader.readexactly(int(headers["content-length"]))
        else:
            answer = b"".join([chunk async for chunk in _chunks(reader)])
        if headers.get("connection") == "close":
            self.close()
        return status, answer

    def close(self) -> None:
        """Close what is open."""
        streams, self._streams = self._streams, None
        if streams:
            streams[1].close()


def _head(head: bytes) -> tuple[int, dict[str, str]]:
    first, *lines = head.decode().split("\r\n")
    fields = (line.partition(":") for line in lines if line)
    return int(first.split()[1]), {name.lower(): value.strip() for name, _, value in fields}


async def _chunks(reader: asyncio.StreamReader) -> Any:
    while size := int(await reader.readuntil(b"\r\n"), 16):
        yield (await reader.readexactly(size + 2))[:-2]
    await reader.readexactly(2)


def _messages(prompt: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": prompt}]}


def _lines(answer: bytes) -> list[Any]:
    """The records of a native stream."""
    lines = [json.loads(line) for line in answer.splitlines()]
    if [line["done"] for line in lines].index(True) != len(lines) - 1:
        raise ValueError("the last record is not the last")
    return lines


def _events(answer: bytes) -> list[Any]:
    """The choices of OpenAI's stream."""
    *events, end = [line[6:] for line in answer.splitlines() if line.startswith(b"data: ")]
    choices = [json.loads(event)["choices"][0] for event in events]
    if end != b"[DONE]" or choices[-1]["finish_reason"] != "stop":
        raise ValueError("the stream has no end")
    return choices


_ROUTES = (
    Route(
        "/api/generate",
        lambda prompt: {"prompt": prompt},
        lambda answer: "".join(line["response"] for line in _lines(answer)),
    ),
    Route(
        "/api/generate",
        lambda prompt: {"prompt": prompt, "stream": False},
        lambda answer: str(json.loads(answer)["response"]),
    ),
    Route(
        "/api/chat",
        _messages,
        lambda answer: "".join(line["message"]["content"] for line in _lines(answer)),
    ),
    Route(
        "/api/chat",
        lambda prompt: {**_messages(prompt), "stream": False},
        lambda answer: str(json.loads(answer)["message"]["content"]),
    ),
    Route(
        "/v1/chat/completions",
        lambda prompt: {**_messages(prompt), "temperature": 0, "stream": True},
        lambda answer: "".join(c["delta"].get("content") or "" for c in _events(answer)),
    ),
    Route(
        "/v1/chat/completions",
        lambda prompt: {**_messages(prompt), "temperature": 0},
        lambda answer: str(json.loads(answer)["choices"][0]["message"]["content"]),
    ),
    Route(
        "/v1/completions",
        lambda prompt: {"prompt": prompt, "temperature": 0, "stream": True},
        lambda answer: "".join(choice["text"] for choice in _events(answer)),
    ),
    Route(
        "/v1/completions",
        lambda prompt: {"prompt": prompt, "temperature": 0},
        lambda answer: str(json.loads(answer)["choices"][0]["text"]),
    ),
)
