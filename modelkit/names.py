"""Model names: `[scheme://][host/][namespace/]model[:tag]`, parsed before they become a path."""

import re
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from modelkit.errors import InvalidName

DEFAULT_HOST = "registry.ollama.ai"
DEFAULT_NAMESPACE = "library"
DEFAULT_TAG = "latest"
DEFAULT_SCHEME = "https"

_PARTS = {
    "host": re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:-]{0,349}", re.ASCII),
    "namespace": re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,79}", re.ASCII),
    "model": re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,79}", re.ASCII),
    "tag": re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,79}", re.ASCII),
}


@dataclass(frozen=True)
class ModelName:
    """A complete model name whose parts are valid by construction.

    Two names are equal when host, namespace, model and tag agree without regard to case; the
    scheme says how to reach the host and is no part of the identity.
    """

    host: str
    namespace: str
    model: str
    tag: str
    scheme: str = DEFAULT_SCHEME

    def __post_init__(self) -> None:
        for part, pattern in _PARTS.items():
            if not pattern.fullmatch(getattr(self, part)):
                raise _invalid(f"{self.host}/{self.namespace}/{self.model}:{self.tag}")

    @classmethod
    def parse(cls, text: str) -> "ModelName":
        """Read a name and fill in the defaults; raises InvalidName.

        A separator with nothing on one side (`m:`, `/ns/m`) is an error, never a default.
        """
        rest, tag = _split_last(text, ":", after=text.rfind("/"), default=DEFAULT_TAG)
        head, model = _split_model(rest)
        head, namespace = _split_model(head) if head is not None else (None, DEFAULT_NAMESPACE)
        scheme, host = _split_scheme(head) if head is not None else (DEFAULT_SCHEME, DEFAULT_HOST)
        try:
            return cls(host, namespace, model, tag, scheme)
        except InvalidName:
            raise _invalid(text) from None

    @property
    def full(self) -> str:
        """`host/namespace/model:tag`."""
        return f"{self.host}/{self.namespace}/{self.model}:{self.tag}"

    @property
    def short(self) -> str:
        """The name for people: the default host, and then the default namespace, left out."""
        if self.host.lower() != DEFAULT_HOST:
            return self.full
        if self.namespace.lower() != DEFAULT_NAMESPACE:
            return f"{self.namespace}/{self.model}:{self.tag}"
        return f"{self.model}:{self.tag}"

    @property
    def repository(self) -> str:
        """The registry's repository, `namespace/model`."""
        return f"{self.namespace}/{self.model}"

    @property
    def relative_path(self) -> PurePosixPath:
        """Where the manifest lies below `manifests/`."""
        return PurePosixPath(self.host, self.namespace, self.model, self.tag)

    def with_tag(self, tag: str) -> "ModelName":
        """The same model under another tag; raises InvalidName."""
        return replace(self, tag=tag)

    def __str__(self) -> str:
        return self.short

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ModelName) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> str:
        return self.full.lower()


def _split_last(text: str, separator: str, after: int, default: str) -> tuple[str, str]:
    position = text.rfind(separator)
    if position <= after:
        return text, default
    return text[:position], text[position + 1 :]


def _split_model(text: str) -> tuple[str | None, str]:
    head, slash, last = text.rpartition("/")
    return (head if slash else None), last


def _split_scheme(text: str) -> tuple[str, str]:
    scheme, separator, host = text.rpartition("://")
    return (scheme, host) if separator else (DEFAULT_SCHEME, text)


def _invalid(text: str) -> InvalidName:
    return InvalidName(
        f"invalid model name: {text!r}",
        hint="a name reads [host/][namespace/]model[:tag], in letters, digits, '.', '_' and '-'",
    )
