"""What a sequence has said: its tokens become text that may be sent, with their logprobs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelkit.serve.runner.text import TextStream
from modelkit.serve.types import Piece

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelkit.serve.types import TokenLogprob


class Transcript:
    """Collects what the tokens of an answer say; `take` returns what may be sent by now."""

    def __init__(self, stop: Sequence[str] = ()) -> None:
        self._text = TextStream(stop)
        self._ready = ""
        self._entries: list[tuple[int, TokenLogprob]] = []
        self._ended = False

    @property
    def stop(self) -> str | None:
        """The stop string that ended the text."""
        return self._text.stop

    def say(self, piece: bytes, entry: TokenLogprob | None) -> None:
        """Add a token's bytes, and its logprobs when they are wanted."""
        if entry is not None:
            self._entries.append((self._text.length, entry))
        self._ready += self._text.feed(piece)

    def end(self) -> None:
        """No token follows: what was held back for a stop string is text after all."""
        self._ready += self._text.flush()
        self._ended = True

    def take(self) -> list[Piece]:
        """One piece with everything that is ready, or none; logprobs travel with their text."""
        text, self._ready = self._ready, ""
        if not self._entries:
            return [Piece(text)] if text else []
        end = self._text.emitted
        sent = [entry for start, entry in self._entries if self._ended or start < end]
        self._entries = self._entries[len(sent) :]
        return [Piece(text, sent)] if text or sent else []
