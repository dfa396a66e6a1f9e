"""Docker's credentials: config.json and credential helpers, read and written."""

import base64
import binascii
import contextlib
import json
import logging
import os
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from modelkit.errors import AuthError

DOCKER_HUB = "https://index.docker.io/v1/"
_DOCKER_HUB_HOSTS = frozenset({"docker.io", "index.docker.io", "registry-1.docker.io"})
_TOKEN_USER = "<token>"  # noqa: S105  (docker's marker for "the secret is an identity token")
_HELPER_SECONDS = 60.0


@dataclass(frozen=True)
class Credentials:
    """A user name and secret for one host; `identity_token` when the secret is one."""

    username: str
    secret: str = field(repr=False)
    identity_token: bool = False

    @property
    def basic(self) -> str:
        """The value of a Basic Authorization header."""
        return "Basic " + base64.b64encode(f"{self.username}:{self.secret}".encode()).decode()


def config_path() -> Path:
    """Docker's config.json: in DOCKER_CONFIG, else in ~/.docker."""
    folder = os.environ.get("DOCKER_CONFIG")
    return (Path(folder) if folder else Path.home() / ".docker") / "config.json"


def find(host: str) -> Credentials | None:
    """The credentials configured for exactly this `host[:port]`, or None.

    Raises AuthError when config.json or the host's credential helper cannot be read.
    """
    config = _load()
    key = config_key(host)
    spellings = [name for name in _section(config, "auths") if config_key(name) == key]
    for name in spellings:
        entry = config["auths"][name]
        if isinstance(entry, dict) and (entry.get("identitytoken") or entry.get("username")):
            return _plain_entry(entry)
    helpers = _section(config, "credHelpers")
    if not spellings and key not in helpers and not config.get("credsStore"):
        return None
    return _ask_oras(config, key, spellings)


def store(host: str, username: str, secret: str) -> str:
    """Keep the credentials as docker would; returns where: a helper's name or the file's path."""
    config = _load()
    key = config_key(host)
    helper = _helper(config, key)
    auths = config.setdefault("auths", {})
    for name in [name for name in auths if config_key(name) == key]:
        del auths[name]
    if helper is not None:
        message = {"ServerURL": key, "Username": username, "Secret": secret}
        _run_helper(helper, "store", json.dumps(message))
        auths[key] = {}
    else:
        token = base64.b64encode(f"{username}:{secret}".encode()).decode()
        auths[key] = {"auth": token}
    _save(config)
    return helper or str(config_path())


def erase(host: str) -> bool:
    """Forget the host's credentials; returns whether there were any."""
    config = _load()
    key = config_key(host)
    auths = _section(config, "auths")
    spellings = [name for name in auths if config_key(name) == key]
    helper = _helper(config, key)
    if helper is not None and spellings:
        _run_helper(helper, "erase", key)
    for name in spellings:
        del auths[name]
    if spellings:
        _save(config)
    return bool(spellings)


def config_key(host: str) -> str:
    """The name config.json keeps a host under: bare and lower case, but for Docker Hub."""
    bare = host.split("://", 1)[-1].split("/", 1)[0].lower()
    return DOCKER_HUB if bare in _DOCKER_HUB_HOSTS else bare


def _ask_oras(config: dict[str, Any], key: str, spellings: list[str]) -> Credentials | None:
    # oras knows the helper protocol. It is given one file's content and one exact host: its own
    # search ignores DOCKER_CONFIG and takes localhost and 127.0.0.1 for each other.
    from oras.auth.base import AuthBackend
    from oras.logger import logger

    logger.set_level(logging.ERROR)  # that a helper knows nothing of a host is no news
    backend = AuthBackend()
    entry = {key: config["auths"][spellings[0]]} if spellings else {}
    backend._auth_config = {**config, "auths": entry}
    try:
        found = backend._load_auth(key)
    except (KeyError, ValueError, AttributeError, TypeError, OSError) as error:
        raise AuthError(
            f"cannot read the credentials for {key}: {error!r}", hint=f"check {config_path()}"
        ) from error
    return _decode(backend._basic_auth, key) if found else None


def _decode(basic: str, key: str) -> Credentials:
    try:
        username, _, secret = base64.b64decode(basic, validate=True).decode().partition(":")
    except (binascii.Error, ValueError) as error:
        raise AuthError(
            f"the credentials for {key} in {config_path()} are damaged",
            hint=f"run `modelkit login {key}` again",
        ) from error
    return Credentials(username, secret.rstrip("\0"), identity_token=username == _TOKEN_USER)


def _plain_entry(entry: dict[str, Any]) -> Credentials:
    if entry.get("identitytoken"):
        return Credentials(_TOKEN_USER, str(entry["identitytoken"]), identity_token=True)
    return Credentials(str(entry["username"]), str(entry.get("password", "")))


def _helper(config: dict[str, Any], key: str) -> str | None:
    return _section(config, "credHelpers").get(key) or config.get("credsStore") or None


def _run_helper(suffix: str, verb: str, message: str) -> None:
    program = f"docker-credential-{suffix}"
    try:
        subprocess.run(
            [program, verb],
            input=message.encode(),
            capture_output=True,
            check=True,
            timeout=_HELPER_SECONDS,
        )
    except subprocess.CalledProcessError as error:
        said = (error.stdout or error.stderr).decode(errors="replace").strip()
        raise AuthError(f"{program} {verb} failed: {said}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise AuthError(
            f"cannot run the credential helper {program}: {error}",
            hint=f"install it, or remove it from {config_path()}",
        ) from error


def _section(config: dict[str, Any], name: str) -> dict[str, Any]:
    section = config.get(name)
    return section if isinstance(section, dict) else {}


def _load() -> dict[str, Any]:
    path = config_path()
    try:
        config = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise AuthError(f"cannot read {path}: {error}", hint="mend or remove the file") from error
    if not isinstance(config, dict):
        raise AuthError(f"cannot read {path}: not a JSON object", hint="mend or remove the file")
    return config


def _save(config: dict[str, Any]) -> None:
    path = config_path().resolve()  # a link stays a link
    temporary: str | None = None
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # mkstemp makes the file 0600 from the start: the secret is never readable by others.
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".config-")
        with os.fdopen(descriptor, "w") as file:
            json.dump(config, file, indent="\t")
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except OSError as error:
        if temporary is not None:
            with contextlib.suppress(FileNotFoundError):
                Path(temporary).unlink()
        raise AuthError(f"cannot write {path}: {error.strerror}") from error
