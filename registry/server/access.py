"""Who may do what: accounts, passwords and short-lived tokens."""

import base64
import hashlib
import hmac
import json
import re
import secrets
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from modelkit.errors import UsageError

PULL = "pull"
PUSH = "push"
TOKEN_LIFETIME = 300
_MAX_HTPASSWD = 1024 * 1024
_MAX_REMEMBERED = 1024
_BCRYPT = re.compile(r"\$2[aby]\$[0-9]{2}\$[./A-Za-z0-9]{53}", re.ASCII)


class Accounts:
    """Names and passwords. Readers may pull only; everybody else may push too."""

    def __init__(
        self,
        users: Mapping[str, str] | None = None,
        htpasswd: Path | None = None,
        readers: Collection[str] = (),
    ) -> None:
        self._plain = {name: password.encode() for name, password in (users or {}).items()}
        self._hashed = {} if htpasswd is None else read_htpasswd(htpasswd)
        self._readers = frozenset(readers)
        # bcrypt is slow on purpose: what was right once is recognised by a keyed hash.
        self._salt = secrets.token_bytes(32)
        self._remembered: set[bytes] = set()

    def check(self, name: str, password: bytes) -> bool:
        """Whether name and password belong together. May take a while: call it in a thread."""
        if name in self._hashed:
            return self._check_hashed(name, password)
        known = self._plain.get(name, b"")
        return hmac.compare_digest(known, password) and name in self._plain

    def _check_hashed(self, name: str, password: bytes) -> bool:
        import bcrypt

        mark = hmac.digest(self._salt, name.encode() + b"\0" + password, "sha256")
        if mark in self._remembered:
            return True
        # bcrypt looks at 72 bytes only, and some releases refuse more, or a zero byte.
        if (
            len(password) > 72
            or b"\0" in password
            or not bcrypt.checkpw(password, self._hashed[name])
        ):
            return False
        if len(self._remembered) < _MAX_REMEMBERED:
            self._remembered.add(mark)
        return True

    def actions(self, name: str) -> frozenset[str]:
        """What an account may do."""
        return frozenset({PULL} if name in self._readers else {PULL, PUSH})


def read_htpasswd(path: Path) -> dict[str, bytes]:
    """Names and bcrypt hashes of an htpasswd file (`htpasswd -B`); raises UsageError."""
    try:
        import bcrypt  # noqa: F401
    except ImportError:
        raise UsageError(
            "an htpasswd file needs the bcrypt package", hint="pip install bcrypt"
        ) from None
    try:
        with path.open("rb") as file:
            lines = file.read(_MAX_HTPASSWD).decode().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read the htpasswd file {path}: {error}") from None
    entries = {}
    for number, line in enumerate(lines, 1):
        name, colon, hashed = line.strip().partition(":")
        if not name or name.startswith("#"):
            continue
        if not colon or not _BCRYPT.fullmatch(hashed):
            raise UsageError(
                f"{path}, line {number}: not a bcrypt entry", hint="make it with `htpasswd -B`"
            )
        entries[name] = hashed.encode()
    return entries


@dataclass(frozen=True)
class Grant:
    """What a token allows: actions by repository, until it expires (seconds since 1970)."""

    name: str
    access: Mapping[str, tuple[str, ...]]
    expires: float

    def allows(self, repository: str, action: str) -> bool:
        """Whether the token is good for this action there."""
        return action in self.access.get(repository, ())


class Tokens:
    """Makes and reads tokens: JSON and its HMAC-SHA256, under a key that lives as long as this."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)

    def issue(self, name: str, access: Mapping[str, tuple[str, ...]], now: float) -> str:
        """A token for the next five minutes."""
        content = {"sub": name, "access": access, "exp": now + TOKEN_LIFETIME}
        body = base64.urlsafe_b64encode(json.dumps(content).encode()).decode()
        return f"{body}.{self._mac(body)}"

    def read(self, token: str, now: float | None = None) -> Grant | None:
        """What a token grants; None when it is not ours or has expired."""
        body, _, mac = token.partition(".")
        if not hmac.compare_digest(mac.encode(), self._mac(body).encode()):
            return None
        content = json.loads(base64.urlsafe_b64decode(body))
        if content["exp"] < (time.time() if now is None else now):
            return None
        access = {repository: tuple(actions) for repository, actions in content["access"].items()}
        return Grant(content["sub"], access, content["exp"])

    def _mac(self, body: str) -> str:
        return hmac.new(self._key, body.encode(), hashlib.sha256).hexdigest()


_ACTIONS = {PULL: (PULL,), PUSH: (PUSH,), "delete": (PUSH,), "*": (PULL, PUSH)}


def parse_scopes(scopes: Collection[str]) -> dict[str, tuple[str, ...]]:
    """`repository:<name>:<actions>` items, several to a string; others are ignored."""
    wanted: dict[str, tuple[str, ...]] = {}
    for item in " ".join(scopes).split():
        kind, _, rest = item.partition(":")
        repository, colon, actions = rest.rpartition(":")
        if kind == "repository" and colon:
            for action in actions.split(","):
                wanted[repository] = wanted.get(repository, ()) + _ACTIONS.get(action, ())
    return wanted
