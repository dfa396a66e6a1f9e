"""Does a signature's reference fit the model asked for? The `signedIdentity` rules of policy.json.

The rules are those of containers-policy.json(5). As everywhere in modelkit, names are compared
without regard to case.
"""

import re
from dataclasses import dataclass
from typing import Protocol

from modelkit.names import ModelName

_NAME = r"[a-z0-9_][a-z0-9_.:-]*(?:/[a-z0-9_][a-z0-9_.-]*)*"
_REFERENCE = re.compile(
    rf"(?P<name>{_NAME})(?::(?P<tag>[a-z0-9_][a-z0-9_.-]{{0,127}}))?"
    r"(?:@(?P<digest>sha256:[0-9a-f]{64}))?",
    re.ASCII,
)
_PREFIX = re.compile(_NAME, re.ASCII)
MAX_REFERENCE = 1024


@dataclass(frozen=True)
class Reference:
    """`host/repository[:tag][@digest]`, folded to lower case."""

    name: str
    tag: str | None = None
    digest: str | None = None

    @classmethod
    def parse(cls, text: str) -> "Reference | None":
        """Read a reference; None when it is none."""
        match = _REFERENCE.fullmatch(text.lower()) if len(text) <= MAX_REFERENCE else None
        return None if match is None or "/" not in match["name"] else cls(**match.groupdict())

    @property
    def is_bare(self) -> bool:
        """Whether neither a tag nor a digest narrows it down."""
        return self.tag is None and self.digest is None


class IdentityRule(Protocol):
    """Decides whether a signed reference is good for a model."""

    def accepts(self, name: ModelName, signed: str) -> bool:
        """Whether a signature over the reference `signed` counts for the model `name`."""
        ...


@dataclass(frozen=True)
class MatchExact:
    """The signature names exactly this model and tag.

    matchExact and matchRepoDigestOrExact agree here, because a model's name always has a tag.
    """

    def accepts(self, name: ModelName, signed: str) -> bool:
        """Whether repository and tag are the same."""
        return _same_reference(Reference.parse(name.full), signed)


@dataclass(frozen=True)
class MatchRepository:
    """The signature names this model, whatever the tag."""

    def accepts(self, name: ModelName, signed: str) -> bool:
        """Whether the repository is the same."""
        return _same_repository(Reference.parse(name.full), signed)


@dataclass(frozen=True)
class ExactReference:
    """The signature names one given model and tag."""

    reference: str

    def accepts(self, name: ModelName, signed: str) -> bool:
        """Whether the signed reference is the given one."""
        return _same_reference(Reference.parse(self.reference), signed)


@dataclass(frozen=True)
class ExactRepository:
    """The signature names one given repository."""

    repository: str

    def accepts(self, name: ModelName, signed: str) -> bool:
        """Whether the signed repository is the given one."""
        return _same_repository(Reference.parse(self.repository), signed)


@dataclass(frozen=True)
class RemapIdentity:
    """The signature names the model as it is called where it was mirrored from."""

    prefix: str
    signed_prefix: str

    def accepts(self, name: ModelName, signed: str) -> bool:
        """Whether the signed reference is the model's, its prefix replaced."""
        full, prefix = name.full.lower(), self.prefix.lower()
        repository = full.rpartition(":")[0]
        if repository == prefix or repository.startswith(prefix + "/"):
            full = self.signed_prefix.lower() + full[len(prefix) :]
        return _same_reference(Reference.parse(full), signed)


def is_prefix(text: str) -> bool:
    """Whether `text` can stand before a model's name: a host, a namespace or a repository."""
    return len(text) <= MAX_REFERENCE and _PREFIX.fullmatch(text.lower()) is not None


def _same_reference(wanted: Reference | None, signed: str) -> bool:
    found = Reference.parse(signed)
    return wanted is not None and found == wanted and not found.is_bare


def _same_repository(wanted: Reference | None, signed: str) -> bool:
    found = Reference.parse(signed)
    return wanted is not None and found is not None and found.name == wanted.name
