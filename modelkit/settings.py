"""Settings from the environment: MODELKIT_X, then OLLAMA_X, then the default."""

import os
from pathlib import Path

_FALSE = {"0", "f", "F", "FALSE", "false", "False"}


def setting(name: str) -> str | None:
    """The value of MODELKIT_<name>, else OLLAMA_<name>; None when neither is set or both are empty.

    Outer white space and then outer quotes are dropped, as Ollama does.
    """
    for prefix in ("MODELKIT_", "OLLAMA_"):
        value = os.environ.get(prefix + name, "").strip().strip("\"'")
        if value:
            return value
    return None


def flag(name: str, default: bool = False) -> bool:
    """A boolean setting; like Ollama, anything that is not a Go boolean counts as true."""
    value = setting(name)
    return default if value is None else value not in _FALSE


def uint(name: str, default: int) -> int:
    """A whole number from 0; anything else gives the default."""
    value = setting(name) or ""
    return int(value) if value.isascii() and value.isdigit() else default


def home_dir() -> Path:
    """Where keys, the policy and, by default, the models live: ~/.modelkit."""
    return Path.home() / ".modelkit"


def models_dir() -> Path:
    """The model folder: MODELKIT_MODELS, OLLAMA_MODELS or ~/.modelkit/models."""
    value = setting("MODELS")
    return Path(value).expanduser() if value else home_dir() / "models"
