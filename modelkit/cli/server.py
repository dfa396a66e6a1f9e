"""A server seen from the command line: JSON requests and streams over Ollama's HTTP API."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import urllib3

from modelkit.digest import Digest
from modelkit.errors import ModelkitError, NotFound
from modelkit.progress import Progress, Report


class Server:
    """The HTTP API at `url`. Every call raises ModelkitError with the server's own words."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        # Not OLLAMA_API_KEY: that one is meant for another host.
        key = os.environ.get("MODELKIT_API_KEY", "").strip()
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._pool = urllib3.PoolManager(
            timeout=urllib3.Timeout(connect=5, read=None), retries=False
        )

    def answers(self) -> bool:
        """Whether something speaks HTTP there."""
        try:
            return self._pool.request("HEAD", self.url, timeout=1.0).status == 200
        except urllib3.exceptions.HTTPError:
            return False

    def call(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        """One request, one JSON object (empty for an empty answer)."""
        with self._open(method, path, body) as response:
            raw = response.read()
        return json.loads(raw) if raw else {}

    def stream(self, path: str, body: object) -> Iterator[dict[str, Any]]:
        """The objects of an NDJSON answer; an `error` object raises."""
        with self._open("POST", path, body) as response:
            for line in _lines(response):
                item = json.loads(line)
                if "error" in item:
                    raise ModelkitError(str(item["error"]))
                yield item

    def follow(self, path: str, body: object, report: Report) -> None:
        """Run a create, pull or push on the server and report its statuses."""
        for item in self.stream(path, body):
            digest = item.get("digest", "")
            report(
                Progress(
                    item.get("status", ""),
                    Digest.parse(digest) if len(digest) == 71 else None,
                    item.get("total", 0),
                    item.get("completed", 0),
                )
            )

    def upload(self, digest: Digest, path: Path) -> None:
        """Send a file as a blob, unless the server has it."""
        url = f"{self.url}/api/blobs/{digest}"
        try:
            if self._pool.request("HEAD", url, headers=self._headers).status == 200:
                return
            with path.open("rb") as file:
                response = self._pool.request("POST", url, body=file, headers=self._headers)
        except urllib3.exceptions.HTTPError as error:
            raise self._unreachable(error) from None
        _check(response.status, response.data)

    @contextmanager
    def _open(self, method: str, path: str, body: object) -> Iterator[urllib3.BaseHTTPResponse]:
        headers = {"Content-Type": "application/json", **self._headers}
        raw = None if body is None else json.dumps(body).encode()
        try:
            response = self._pool.request(
                method, self.url + path, body=raw, headers=headers, preload_content=False
            )
        except urllib3.exceptions.HTTPError as error:
            raise self._unreachable(error) from None
        try:
            if response.status >= 400:
                _check(response.status, response.read())
            yield response
        except urllib3.exceptions.HTTPError as error:
            raise ModelkitError(f"the server at {self.url} broke off the answer: {error}") from None
        finally:
            response.close()

    def _unreachable(self, error: Exception) -> ModelkitError:
        reason = getattr(error, "reason", None) or error
        return ModelkitError(
            f"could not connect to a server at {self.url} ({type(reason).__name__})",
            hint="start one with `modelkit serve`, or name another with --host",
        )


def _lines(response: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
    rest = b""
    for chunk in response.stream(amt=None, decode_content=True):
        *lines, rest = (rest + chunk).split(b"\n")
        yield from filter(None, lines)
    if rest:
        yield rest


def _check(status: int, raw: bytes) -> None:
    if status < 400:
        return
    try:
        message = json.loads(raw)["error"]
    except (ValueError, KeyError, TypeError):
        message = f"the server answered {status}: {raw[:200].decode(errors='replace')}"
    raise (NotFound if status == 404 else ModelkitError)(str(message))
