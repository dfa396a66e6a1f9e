"""One blob from a registry into the store: in ranges, resumed, hashed while it arrives."""

import threading
import time
from collections import deque

from modelkit.digest import Digest
from modelkit.errors import (
    Cancelled,
    DigestMismatch,
    ModelkitError,
    RegistryError,
    Unreachable,
)
from modelkit.manifest import Descriptor
from modelkit.registry.client import RegistryClient
from modelkit.registry.http.body import BlobBody
from modelkit.registry.transfer.partial import Partial, open_partial
from modelkit.registry.transfer.parts import Part
from modelkit.registry.transfer.ramp import Ramp
from modelkit.store import Store

SMALL = 1024 * 1024
MOST_CONNECTIONS = 8

_CHUNK = 1024 * 1024
_PAUSES = (0.5, 1.0, 2.0, 4.0)
_TRANSIENT = frozenset({408, 429, 500, 502, 503, 504})
_TICK = 0.05
_GRACE = 2.0


class BlobDownload:
    """Fetches one blob; `run` blocks, `cancel` ends it from another thread.

    `completed` is how many bytes are there, for whoever shows progress. What arrived stays on
    disk when a run fails or is cancelled, and the next run goes on from there.
    """

    def __init__(
        self,
        client: RegistryClient,
        repository: str,
        descriptor: Descriptor,
        store: Store,
        connections: int = MOST_CONNECTIONS,
    ) -> None:
        self.descriptor = descriptor
        self._client = client
        self._repository = repository
        self._store = store
        self._most = connections
        self._partial: Partial | None = None
        self._waiting = 0
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._queue: deque[Part] = deque()
        self._bodies: set[BlobBody] = set()
        self._active = 0
        self._wanted = 1
        self._error: Exception | None = None

    @property
    def completed(self) -> int:
        """Bytes in place so far."""
        return self._waiting if self._partial is None else self._partial.completed

    def run(self) -> None:
        """Bring the blob into the store.

        Raises Unreachable, AuthError or RegistryError, DigestMismatch (and removes the bytes),
        StoreError when the disk is full, Cancelled.
        """
        if self.descriptor.size <= SMALL:
            self._run_small()
            return
        with open_partial(self._store, self.descriptor, self._on_wait) as partial:
            if partial is None:
                return
            self._partial = partial
            resumed = partial.completed > 0
            digest = self._attempt(partial)
            if digest != self.descriptor.digest and resumed:
                # The bytes of an earlier run may be at fault, such as after a power cut.
                partial.restart()
                digest = self._attempt(partial)
            if digest != self.descriptor.digest:
                partial.remove()
                raise DigestMismatch(self.descriptor.digest, digest)
            partial.promote()

    def cancel(self) -> None:
        """Make `run` raise Cancelled soon."""
        self._stop.set()
        with self._lock:
            for body in self._bodies:
                body.shutdown()

    def _run_small(self) -> None:
        digest, size = self.descriptor.digest, self.descriptor.size
        data = self._read_small() if size else b""
        if len(data) != size:
            raise self._wrong_size(len(data))
        with self._store.writer(digest) as writer:
            writer.write(data)
        self._waiting = size

    def _read_small(self) -> bytes:
        digest, size = self.descriptor.digest, self.descriptor.size
        for pause in _PAUSES[:2]:
            try:
                return self._client.blob(self._repository, digest, size)
            except RegistryError as error:
                if not _may_pass(error) or self._stop.wait(pause):
                    raise
        return self._client.blob(self._repository, digest, size)

    def _on_wait(self, completed: int) -> None:
        self._waiting = completed
        if self._stop.is_set():
            raise Cancelled

    def _attempt(self, partial: Partial) -> Digest:
        """Fetch every missing byte; returns the digest of the whole."""
        self._queue.extend(part for part in partial.parts if not part.done)
        digests: list[Digest | None] = []
        hasher = threading.Thread(target=self._hash, args=(partial, digests), daemon=True)
        hasher.start()
        try:
            self._fetch_all(partial)
            while hasher.is_alive() and not self._stop.is_set():
                hasher.join(_TICK)
        finally:
            if hasher.is_alive():
                self.cancel()
                self._wait_for_workers()
                partial.close()
                hasher.join()
        if self._error is not None:
            raise self._error
        if not digests or digests[0] is None:
            raise Cancelled
        return digests[0]

    def _hash(self, partial: Partial, digests: list[Digest | None]) -> None:
        try:
            digests.append(partial.hash())
        except ModelkitError as error:
            self._error = self._error or error

    def _fetch_all(self, partial: Partial) -> None:
        ramp = Ramp(self._most, partial.size, time.monotonic(), partial.completed)
        while True:
            with self._lock:
                missing = min(ramp.connections - self._active, len(self._queue))
                self._wanted = ramp.connections
                self._active += max(missing, 0)
                finished = self._active == 0
            for _ in range(missing):
                threading.Thread(target=self._work, args=(partial,), daemon=True).start()
            if self._stop.is_set():
                raise Cancelled
            if self._error is not None:
                raise self._error
            if finished:
                return
            time.sleep(_TICK)
            ramp.observe(time.monotonic(), partial.completed)

    def _wait_for_workers(self) -> None:
        deadline = time.monotonic() + _GRACE
        while self._active and time.monotonic() < deadline:
            time.sleep(_TICK / 5)

    def _work(self, partial: Partial) -> None:
        try:
            while (part := self._next_part()) is not None:
                self._persist(partial, part)
        except Exception as error:
            self._error = self._error or error
        finally:
            with self._lock:
                self._active -= 1

    def _next_part(self) -> Part | None:
        with self._lock:
            surplus = self._active > self._wanted
            if not self._queue or surplus or self._stop.is_set() or self._error is not None:
                return None
            return self._queue.popleft()

    def _persist(self, partial: Partial, part: Part) -> None:
        """Fetch a part to its end, again after failures that may pass."""
        failures = 0
        while not part.done:
            before = part.completed
            try:
                self._fetch(partial, part)
            except RegistryError as error:
                if self._stop.is_set() or not _may_pass(error):
                    raise
                failures = 0 if part.completed > before else failures + 1
                if failures == len(_PAUSES):
                    raise Unreachable(
                        f"max retries exceeded: {error.message}", hint=error.hint
                    ) from error
                self._stop.wait(_PAUSES[failures])

    def _fetch(self, partial: Partial, part: Part) -> None:
        body = self._open(part)
        with self._lock:
            self._bodies.add(body)
        others = [] if body.start == part.position and body.ranged else self._take_all(body)
        try:
            self._receive(partial, body, sorted([part, *others], key=lambda part: part.offset))
        finally:
            with self._lock:
                self._bodies.discard(body)
                self._queue.extend(other for other in others if not other.done)
            body.close()

    def _open(self, part: Part) -> BlobBody:
        digest = self.descriptor.digest
        try:
            body = self._client.open_blob(self._repository, digest, part.position, part.stop)
        except RegistryError as error:
            if error.status == 416:
                raise self._wrong_size(self._client.blob_size(self._repository, digest)) from error
            raise
        if body.total is not None and body.total != self.descriptor.size:
            body.close()
            raise self._wrong_size(body.total)
        return body

    def _take_all(self, body: BlobBody) -> list[Part]:
        """The server ignores ranges and sends everything: one stream serves all free parts."""
        if body.start != 0:
            raise RegistryError(f"{self._client.host} answered with another range than asked for")
        with self._lock:
            parts = list(self._queue)
            self._queue.clear()
        return parts

    def _receive(self, partial: Partial, body: BlobBody, parts: list[Part]) -> None:
        """Write a stream into its parts, passing over bytes that are there or another's."""
        position = body.start
        for part in parts:
            while position < part.stop:
                if self._stop.is_set():
                    raise Cancelled
                fresh = position == part.position
                wanted = (part.stop if fresh else part.position) - position
                data = body.read(min(wanted, _CHUNK))
                if not data:
                    raise Unreachable(f"{self._client.host} closed the connection too early")
                if fresh:
                    partial.write(part, data)
                position += len(data)

    def _wrong_size(self, found: int | None) -> ModelkitError:
        return RegistryError(
            f"blob {self.descriptor.digest.short} has {found or 0} bytes on {self._client.host},"
            f" the manifest says {self.descriptor.size}",
            hint="the registry's copy is damaged; push the model again",
        )


def _may_pass(error: RegistryError) -> bool:
    return isinstance(error, Unreachable) or error.status in _TRANSIENT
