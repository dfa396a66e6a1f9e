"""One blob from the store to a registry: in chunks, streamed, resumed within a run."""

import io
import re
import threading
from collections.abc import Callable, Iterator
from typing import BinaryIO
from urllib.parse import quote, urlencode, urljoin

from urllib3 import BaseHTTPResponse

from modelkit.digest import Digest
from modelkit.errors import AuthError, Cancelled, RegistryError, Unreachable
from modelkit.manifest import Descriptor
from modelkit.registry.client import RegistryClient

CHUNK_SIZE = 64 * 1024 * 1024

_PIECE = 1024 * 1024
_PAUSES = (0.5, 1.0, 2.0, 4.0)
_TRANSIENT = frozenset({408, 416, 429, 500, 502, 503, 504})
_COMMIT_SECONDS = 600.0
_RANGE = re.compile(r"(?:bytes=)?0-(\d+)")


class BlobUpload:
    """Sends one blob; `run` blocks, `cancel` ends it from another thread.

    `source` opens the blob's bytes, `mount_from` is a repository of the same registry that may
    have the blob already. `completed` counts bytes the registry took, for whoever shows progress.
    """

    def __init__(
        self,
        client: RegistryClient,
        repository: str,
        descriptor: Descriptor,
        source: Callable[[], BinaryIO],
        mount_from: str | None = None,
        chunk_size: int = CHUNK_SIZE,
    ) -> None:
        self.descriptor = descriptor
        self.completed = 0
        self._client = client
        self._repository = repository
        self._source = source
        self._mount_from = mount_from
        self._chunk_size = chunk_size
        self._stop = threading.Event()

    def run(self) -> None:
        """See that the registry has the blob.

        Raises Unreachable, AuthError or RegistryError, StoreError when the blob cannot be read,
        Cancelled.
        """
        held = self._held()
        if held != self.descriptor.size:
            url = self._start(self._mount_from)
            if url is not None:
                self._commit(self._send_chunks(url))
            if held is not None:
                self._require_mended()
        self.completed = self.descriptor.size

    def cancel(self) -> None:
        """Make `run` raise Cancelled at the next piece."""
        self._stop.set()

    def _held(self) -> int | None:
        """The size of the registry's copy in bytes, None when it has none."""
        size = self._client.blob_size(self._repository, self.descriptor.digest)
        # A registry may leave out the length; then the copy is taken to be whole.
        return self.descriptor.size if size == 0 else size

    def _require_mended(self) -> None:
        """Some registries keep the copy they have, however damaged, and drop the new one."""
        held = self._held()
        if held != self.descriptor.size:
            raise RegistryError(
                f"{self._client.host} keeps a damaged copy of blob {self.descriptor.digest.short}:"
                f" {held or 0} bytes instead of {self.descriptor.size}",
                hint="delete the blob on the registry, then push again",
            )

    def _start(self, mount_from: str | None = None) -> str | None:
        """Open an upload session; returns its URL, or None when the blob was mounted instead."""
        url = f"/v2/{quote(self._repository)}/blobs/uploads/"
        if mount_from is not None:
            digest = str(self.descriptor.digest)
            url += "?" + urlencode({"mount": digest, "from": mount_from})
        try:
            response = self._request("POST", url, body=b"")
        except AuthError:
            if mount_from is None:
                raise
            return self._start()  # the other repository is not ours to read
        if response.status == 201 and mount_from is not None:
            return None
        least = response.headers.get("OCI-Chunk-Min-Length", "")
        if least.isdecimal():
            self._chunk_size = max(self._chunk_size, int(least))
        return _session(response, url)

    def _send_chunks(self, url: str) -> str:
        """Send all but the last chunk's commit; returns the session's current URL."""
        failures = 0
        offset = 0
        while offset < self.descriptor.size:
            before = offset
            try:
                url, offset = self._patch(url, offset)
            except RegistryError as error:
                if self._stop.is_set() or not _may_pass(error) or failures == len(_PAUSES):
                    raise
                self._stop.wait(_PAUSES[failures])
                url, offset = self._resume(url)
            failures = 0 if offset > before else failures + 1
            self.completed = offset
        return url

    def _patch(self, url: str, offset: int) -> tuple[str, int]:
        """Send one chunk; returns the next URL and how many bytes the registry then has."""
        length = min(self._chunk_size, self.descriptor.size - offset)
        response = self._request(
            "PATCH",
            url,
            headers={"Content-Range": f"{offset}-{offset + length - 1}"},
            body=lambda: self._read(offset, length),
            length=length,
            retry=False,
        )
        taken = _taken(response)
        url = _session(response, url)
        if taken is None or taken == offset + length:
            return url, offset + length
        # It took a part, or put the chunk somewhere else: only the first can be continued.
        return (url, taken) if offset < taken < offset + length else self._restart()

    def _resume(self, url: str) -> tuple[str, int]:
        """Ask what arrived before the connection broke; start again if that is not known."""
        try:
            response = self._request("GET", url)
        except RegistryError:
            return self._restart()
        taken = _taken(response)
        # "0-0" may mean one byte or none.
        return (_session(response, url), taken) if taken and taken > 1 else self._restart()

    def _restart(self) -> tuple[str, int]:
        url = self._start()
        if url is None:
            raise AssertionError("a session without mount has a URL")
        return url, 0

    def _commit(self, url: str) -> None:
        """Close the session: the registry checks the digest, which takes it a while."""
        digest = str(self.descriptor.digest)
        url += ("&" if "?" in url else "?") + urlencode({"digest": digest})
        try:
            self._request("PUT", url, body=b"", retry=False, patience=_COMMIT_SECONDS)
        except Unreachable:
            if self._held() is None:
                raise
        except RegistryError as error:
            if "DIGEST_INVALID" in error.message:
                error.hint = "the local copy may be damaged: see `modelkit verify-store`"
            raise

    def _read(self, offset: int, length: int) -> Iterator[bytes]:
        with self._source() as file:
            file.seek(offset)
            for start in range(0, length, _PIECE):
                if self._stop.is_set():
                    raise Cancelled
                data = file.read(min(_PIECE, length - start))
                yield data
                self.completed = offset + start + len(data)

    def _request(
        self,
        method: str,
        url: str,
        *,
        headers: dict[str, str] | None = None,
        body: bytes | Callable[[], Iterator[bytes]] | None = None,
        length: int | None = None,
        retry: bool = True,
        patience: float = 60.0,
    ) -> BaseHTTPResponse:
        if self._stop.is_set():
            raise Cancelled
        octets = {"Content-Type": "application/octet-stream"} if method in ("PATCH", "PUT") else {}
        response = self._client.request(
            method,
            url,
            action=f"push blob {self.descriptor.digest.short}",
            ok=range(200, 300),
            headers={**octets, **(headers or {})},
            body=body,
            length=length,
            retry=retry,
            patience=patience,
        )
        response.drain_conn()
        response.release_conn()
        return response


def upload_bytes(
    client: RegistryClient, repository: str, data: bytes, media_type: str = ""
) -> Descriptor:
    """Send a small blob from memory; returns its descriptor."""
    descriptor = Descriptor(media_type, Digest.of(data), len(data))
    BlobUpload(client, repository, descriptor, lambda: io.BytesIO(data)).run()
    return descriptor


def _session(response: BaseHTTPResponse, url: str) -> str:
    location = response.headers.get("Location")
    return urljoin(url, location) if location else url


def _taken(response: BaseHTTPResponse) -> int | None:
    """How many bytes the session has by its Range header; None when it does not say."""
    match = _RANGE.fullmatch(response.headers.get("Range", ""))
    return int(match[1]) + 1 if match else None


def _may_pass(error: RegistryError) -> bool:
    return isinstance(error, Unreachable) or error.status in _TRANSIENT
