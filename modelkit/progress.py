"""How long work tells what it is doing: one status object, handed to a callback."""

from collections.abc import Callable
from dataclasses import dataclass

from modelkit.digest import Digest


@dataclass(frozen=True)
class Progress:
    """One status line of Ollama's create, pull and push streams; `total` and `completed` in bytes
    (or in tensors, where the status says so)."""

    status: str
    digest: Digest | None = None
    total: int = 0
    completed: int = 0


Report = Callable[[Progress], None]
"""Receives every status. It may raise (`Cancelled`) to stop the work; the work then cleans up."""


def silent(_progress: Progress) -> None:
    """A Report for callers who do not want to know."""
