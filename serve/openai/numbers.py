"""What answers count and how they are told apart: usage and ids."""

import secrets
from typing import Any

from modelkit.serve.types import Finished

FINGERPRINT = "fp_ollama"
"""The `system_fingerprint` that clients of Ollama know."""


def fresh_id(prefix: str) -> str:
    """An id that no other answer has."""
    return prefix + secrets.token_hex(12)


class Usage:
    """Tokens of one request: each prompt counts once, however many answers it has."""

    def __init__(self) -> None:
        self.prompt = 0
        self.completion = 0
        self.cached = 0
        self.dropped = 0

    def add(self, finished: Finished, *, prompt: bool) -> None:
        """Add an answer's tokens, and with `prompt` those it was asked with."""
        self.completion += finished.tokens
        if prompt:
            self.prompt += finished.prompt_tokens
            self.cached += finished.cached_tokens
            self.dropped += finished.dropped_tokens

    def line(self) -> dict[str, Any]:
        """The `usage` object; `dropped_tokens` of the prompts did not fit, if there are any."""
        dropped = {"dropped_tokens": self.dropped} if self.dropped else {}
        return {
            "prompt_tokens": self.prompt,
            "completion_tokens": self.completion,
            "total_tokens": self.prompt + self.completion,
            "prompt_tokens_details": {"cached_tokens": self.cached, **dropped},
        }
