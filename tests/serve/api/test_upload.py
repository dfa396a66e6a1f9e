"""The body of an upload, taken only as fast as it is written."""

import asyncio
import threading
from typing import Any

import pytest

from modelkit.asgi.body import HIGH_WATER
from modelkit.digest import Digest
from modelkit.serve.app import create_app
from modelkit.serve.scheduling.scheduler import Scheduler
from modelkit.store import BlobWriter, Store

CHUNK = b"\0" * 65536
COUNT = 200


class Sender:
    """The HTTP server's side of one upload: counts how many chunks the application took."""

    def __init__(self) -> None:
        self.taken = 0
        self.status = 0

    async def receive(self) -> dict[str, Any]:
        if self.taken == COUNT:
            await asyncio.sleep(60)
        self.taken += 1
        return {"type": "http.request", "body": CHUNK, "more_body": self.taken < COUNT}

    async def send(self, event: dict[str, Any]) -> None:
        if event["type"] == "http.response.start":
            self.status = event["status"]


async def test_an_upload_waits_for_the_disk(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = threading.Event()
    write = BlobWriter.write

    def slow_write(writer: BlobWriter, data: bytes) -> int:
        disk.wait(30)
        return write(writer, data)

    monkeypatch.setattr(BlobWriter, "write", slow_write)
    digest = Digest.of(CHUNK * COUNT)
    path = f"/api/blobs/{digest}"
    scope = {
        "type": "http",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(b"host", b"localhost")],
        "http_version": "1.1",
        "asgi": {"version": "3.0"},
    }
    sender = Sender()
    app = create_app(store, scheduler=Scheduler())
    upload = asyncio.ensure_future(app(scope, sender.receive, sender.send))  # type: ignore[arg-type]
    await asyncio.sleep(0.3)
    assert sender.taken <= 2 * HIGH_WATER // len(CHUNK) + 2
    disk.set()
    await asyncio.wait_for(upload, 30)
    assert sender.status == 201
    assert store.blob_size(digest) == len(CHUNK) * COUNT
