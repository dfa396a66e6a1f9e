"""API keys: who may use a server, and for what. The file keeps hashes, never the keys."""

import hashlib
import os
import re
import secrets
import time
from pathlib import Path
from typing import Literal, NamedTuple, get_args

import msgspec

from modelkit.errors import NotFound, StoreError, UsageError, store_errors
from modelkit.files import replacing
from modelkit.settings import setting
from modelkit.store import Store
from modelkit.store.locks import exclusive

Scope = Literal["infer", "read", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
"""infer: ask models; read: see which there are; admin: everything, changing them included."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")


class ApiKey(msgspec.Struct, frozen=True):
    """What is kept of a key: `sha256` is the hex digest of the key itself."""

    name: str
    sha256: str
    scopes: tuple[Scope, ...]
    created: str

    def allows(self, scope: Scope) -> bool:
        """Whether the key may be used for this; admin may be used for everything."""
        return scope in self.scopes or "admin" in self.scopes


class _Content(msgspec.Struct):
    keys: list[ApiKey] = []


class _Loaded(NamedTuple):
    """The keys by their hashes, and the state of the file that they were read from."""

    stamp: tuple[int, int, int] | None
    keys: dict[str, ApiKey]


class KeyFile:
    """The keys of one server. What another process changes is seen at the next question.

    Every method raises StoreError when the file cannot be read: then nobody is let in.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._loaded = _Loaded(None, {})

    @classmethod
    def of(cls, store: Store) -> "KeyFile":
        """MODELKIT_API_KEYS, or api-keys.json in the folder that the store lies in."""
        named = setting("API_KEYS")
        return cls(Path(named).expanduser() if named else store.root.parent / "api-keys.json")

    def all(self) -> list[ApiKey]:
        """Every key, the oldest first."""
        return list(self._current().values())

    def find(self, key: str) -> ApiKey | None:
        """What is known of a key that a client sent; None when it is none of ours."""
        return self._current().get(_hash(key))

    def create(self, name: str, scopes: tuple[Scope, ...]) -> str:
        """Make a key and return it: it cannot be had again. Raises UsageError for a bad name."""
        if not _NAME.fullmatch(name):
            raise UsageError(
                f"{name!r} is no name for a key", hint="use up to 64 letters, digits and . _ @ -"
            )
        key = f"mk-{secrets.token_urlsafe(32)}"
        created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        with exclusive(self._lock, wait=True):
            keys = self.all()
            if any(known.name == name for known in keys):
                raise UsageError(
                    f"there is a key {name!r} already", hint=f"`modelkit key revoke {name}` ends it"
                )
            self._write([*keys, ApiKey(name, _hash(key), scopes, created)])
        return key

    def revoke(self, name: str) -> None:
        """End a key; raises NotFound."""
        with exclusive(self._lock, wait=True):
            keys = self.all()
            left = [key for key in keys if key.name != name]
            if len(left) == len(keys):
                raise NotFound(f"there is no key {name!r}", hint="see `modelkit key list`")
            self._write(left)

    @property
    def _lock(self) -> Path:
        return self.path.with_name(f".{self.path.name}.lock")

    def _current(self) -> dict[str, ApiKey]:
        stamp = self._stamp()
        if stamp != self._loaded.stamp:
            self._loaded = _Loaded(stamp, self._read() if stamp else {})
        return self._loaded.keys

    def _stamp(self) -> tuple[int, int, int] | None:
        with store_errors("read", self.path):
            try:
                found = self.path.stat()
            except FileNotFoundError:
                return None
        return found.st_ino, found.st_mtime_ns, found.st_size

    def _read(self) -> dict[str, ApiKey]:
        with store_errors("read", self.path):
            raw = self.path.read_bytes()
        try:
            content = msgspec.json.decode(raw, type=_Content)
        except msgspec.DecodeError as error:
            raise StoreError(
                f"{self.path} is damaged: {error}", hint="remove it and make new keys"
            ) from None
        return {key.sha256: key for key in content.keys}

    def _write(self, keys: list[ApiKey]) -> None:
        with replacing(self.path) as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(msgspec.json.format(msgspec.json.encode(_Content(keys))) + b"\n")


def _hash(key: str) -> str:
    # A key is 256 random bits, so nobody can try them all: a slow hash would only be slow.
    return hashlib.sha256(key.encode()).hexdigest()
