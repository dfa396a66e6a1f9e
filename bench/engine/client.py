"""A streaming HTTP client that costs little: it shares two cores with what it measures."""

import asyncio
import json
import time
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Answer:
    """One streamed answer: when it was asked for, when each event came, the last event.

    Times are seconds on one clock.
    """

    asked: float
    times: list[float] = field(default_factory=list)
    text: str = ""
    last: dict[str, Any] = field(default_factory=dict)
    tokens: int = 0

    @property
    def first(self) -> float:
        """Seconds to the first event."""
        return self.times[0] - self.asked

    @property
    def decode(self) -> float:
        """Seconds from the first event to the last."""
        return self.times[-1] - self.times[0]

    @property
    def gaps(self) -> list[float]:
        """Seconds between neighbouring events."""
        return [later - sooner for sooner, later in zip(self.times, self.times[1:], strict=False)]


async def post(port: int, path: str, body: dict[str, Any]) -> Answer:
    """POST a request and read its events: lines of JSON, with or without `data: ` before them.

    Raises RuntimeError when the answer is not 200, or ends in an error.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    payload = json.dumps(body).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(payload)}\r\nConnection: close\r\n\r\n"
    )
    answer = Answer(time.perf_counter())
    writer.write(head.encode() + payload)
    try:
        status = await reader.readline()
        chunked = False
        while (line := await reader.readline()) not in (b"\r\n", b""):
            chunked |= line.lower().startswith(b"transfer-encoding: chunked")
        lines = await (_chunks if chunked else _rest)(reader, answer)
    finally:
        writer.close()
    if b" 200 " not in status:
        raise RuntimeError(f"{path}: {status!r} {b''.join(lines)[:300]!r}")
    answer.last = json.loads(lines[-1])
    if "error" in answer.last:
        raise RuntimeError(f"{path}: {answer.last['error']}")
    answer.text = "".join(map(_text, lines))
    return answer


async def _chunks(reader: asyncio.StreamReader, answer: Answer) -> list[bytes]:
    """Events of a chunked body; every event is one chunk or more in the same packet."""
    pending = b""
    lines: list[bytes] = []
    while size := int(await reader.readline(), 16):
        pending += await reader.readexactly(size)
        await reader.readexactly(2)
        *whole, pending = pending.split(b"\n")
        events = [line.removeprefix(b"data: ") for line in whole if line.strip()]
        events = [event for event in events if event.startswith(b"{")]
        answer.times.extend([time.perf_counter()] * len(events))
        lines += events
    if pending.strip().startswith((b"{", b"[")):
        answer.times.append(time.perf_counter())
        lines.append(pending)
    return lines


async def _rest(reader: asyncio.StreamReader, answer: Answer) -> list[bytes]:
    body = await reader.read()
    answer.times.append(time.perf_counter())
    return [body]


def _text(line: bytes) -> str:
    event = json.loads(line)
    if not isinstance(event, dict):
        return ""
    return str(event.get("response", event.get("content", "")))
