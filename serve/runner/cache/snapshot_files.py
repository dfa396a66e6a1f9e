"""Copies of prefixes as files: written behind the decode loop's back, checked before use."""

from __future__ import annotations

import hashlib
import os
import struct
import sys
import threading
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from modelkit.errors import StoreError, store_errors
from modelkit.files import replacing

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt

# Magic and version; digest of model and options; digest of the group's name; digest of tokens and
# state; number of tokens (int32 each); bytes of state. Tokens and state follow. Little-endian.
_HEADER = struct.Struct("<8s32s32s32sIQ")
_MAGIC = b"MKPREFX1"
_SUFFIX = ".prefix"
_MAX_TOKENS = 1 << 24


class StoredPrefix(NamedTuple):
    """One file, and what its head says; the group is 32 bytes."""

    path: Path
    group: bytes
    tokens: npt.NDArray[np.int32]


class SnapshotFiles:
    """The files of one model in a folder that runners of many models share.

    `identity` says all that a state depends on: weights, cache type, engine. `limit` is bytes for
    the whole folder; the files used least recently are removed. Raises StoreError when the folder
    cannot be made.
    """

    def __init__(self, folder: Path, identity: str, limit: int) -> None:
        with store_errors("create", folder):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder
        self._identity = hashlib.sha256(identity.encode()).digest()
        self._limit = limit
        self._writing: dict[Path, npt.NDArray[np.uint8]] = {}
        self._jobs: SimpleQueue[tuple[StoredPrefix, list[Path]] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="snapshots", daemon=True)
        self._thread.start()

    def stored(self) -> list[StoredPrefix]:
        """The usable files of this model, the most recently used last; damaged ones are removed."""
        paths = self._folder.glob(f"{self._prefix}-*{_SUFFIX}")
        found = [self._open(path) for path in sorted(paths, key=_used)]
        return [stored for stored in found if stored]

    def write(
        self,
        group: bytes,
        tokens: npt.NDArray[np.int32],
        state: npt.NDArray[np.uint8],
        replaced: Iterable[StoredPrefix],
    ) -> StoredPrefix:
        """Begin to write a copy; when it is there, those that it replaces are removed."""
        name = hashlib.sha256(group + tokens.tobytes()).hexdigest()[:32]
        stored = StoredPrefix(self._folder / f"{self._prefix}-{name}{_SUFFIX}", group, tokens)
        self._writing[stored.path] = state
        self._jobs.put((stored, [older.path for older in replaced]))
        return stored

    def read(self, stored: StoredPrefix) -> npt.NDArray[np.uint8] | None:
        """A copy's state; None when its file is gone, or damaged: then it is removed."""
        state = self._writing.get(stored.path)
        if state is not None:
            return state
        try:
            content = np.fromfile(stored.path, np.uint8)
        except OSError:
            return None
        body = content[_HEADER.size :]
        checksum = _HEADER.unpack_from(content.data)[3] if len(content) >= _HEADER.size else b""
        if hashlib.sha256(body.data).digest() != checksum:
            _remove(stored.path)
            return None
        return body[stored.tokens.nbytes :]

    def touch(self, stored: StoredPrefix) -> None:
        """The copy was used now."""
        with suppress(OSError):
            os.utime(stored.path)

    def close(self) -> None:
        """Wait until everything is written."""
        self._jobs.put(None)
        self._thread.join()

    @property
    def _prefix(self) -> str:
        return self._identity.hex()[:16]

    def _open(self, path: Path) -> StoredPrefix | None:
        """What the head of a file says; None, and no such file any more, when it is not ours."""
        try:
            with path.open("rb") as file:
                magic, identity, group, _, count, size = _HEADER.unpack(file.read(_HEADER.size))
                if (magic, identity) != (_MAGIC, self._identity) or count > _MAX_TOKENS:
                    raise ValueError("another version or model")
                tokens = np.frombuffer(file.read(4 * count), "<i4").astype(np.int32)
                if os.fstat(file.fileno()).st_size != _HEADER.size + 4 * count + size:
                    raise ValueError("cut off")
        except (struct.error, ValueError):
            _remove(path)
            return None
        except OSError:
            return None
        return StoredPrefix(path, group, tokens)

    def _work(self) -> None:
        while job := self._jobs.get():
            stored, replaced = job
            try:
                self._store(stored, self._writing[stored.path])
                for path in replaced:
                    _remove(path)
                self._shrink()
            except StoreError as error:
                sys.stderr.write(f"W {error.message}\n")
            finally:
                self._writing.pop(stored.path, None)

    def _store(self, stored: StoredPrefix, state: npt.NDArray[np.uint8]) -> None:
        tokens = stored.tokens.astype("<i4").tobytes()
        checksum = hashlib.sha256(tokens)
        checksum.update(state.data)
        counts = (len(stored.tokens), len(state))
        header = _HEADER.pack(_MAGIC, self._identity, stored.group, checksum.digest(), *counts)
        with replacing(stored.path) as file:
            os.fchmod(file.fileno(), 0o600)  # what people said is in it
            for part in (header, tokens, state.data):
                file.write(part)

    def _shrink(self) -> None:
        """Remove what was used least recently, whosever it is, until the folder is in its limit."""
        files = sorted(self._folder.glob(f"*{_SUFFIX}*"), key=_used)
        sizes = {path: _size(path) for path in files}
        total = sum(sizes.values())
        for path in files:
            if total <= self._limit:
                return
            _remove(path)
            total -= sizes[path]


def _used(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:  # another runner removed it
        return 0.0


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _remove(path: Path) -> None:
    with suppress(OSError):
        path.unlink()
