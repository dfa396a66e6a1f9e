"""The name of a blob: the sha256 of its bytes."""

import hashlib
import re
from dataclasses import dataclass

from modelkit.errors import InvalidDigest

_PATTERN = re.compile(r"sha256[:-]([0-9a-fA-F]{64})", re.ASCII)


@dataclass(frozen=True, order=True)
class Digest:
    """A sha256 digest. Checked when made, so it is safe in a path."""

    hex: str

    def __post_init__(self) -> None:
        if not re.fullmatch("[0-9a-f]{64}", self.hex, re.ASCII):
            raise InvalidDigest("invalid digest format")

    @classmethod
    def parse(cls, text: str) -> "Digest":
        """Read `sha256:<64 hex>` or the file-name spelling `sha256-<64 hex>`.

        Raises InvalidDigest for anything else. Upper-case hex is folded.
        """
        match = _PATTERN.fullmatch(text)
        if match is None:
            raise InvalidDigest(
                "invalid digest format", hint="a digest reads sha256:<64 hexadecimal digits>"
            )
        return cls(match[1].lower())

    @classmethod
    def of(cls, data: bytes) -> "Digest":
        """The digest of these bytes."""
        return cls(hashlib.sha256(data).hexdigest())

    def __str__(self) -> str:
        return f"sha256:{self.hex}"

    @property
    def filename(self) -> str:
        """The blob's file name, `sha256-<hex>`."""
        return f"sha256-{self.hex}"

    @property
    def short(self) -> str:
        """The first twelve hex digits, for people."""
        return self.hex[:12]
