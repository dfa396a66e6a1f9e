"""The Jinja chat template a GGUF carries, rendered as Hugging Face's transformers does."""

from collections.abc import Mapping, Sequence
from functools import lru_cache

import jinja2

from modelkit.templates import TemplateError
from modelkit.templates.sandbox import Sandbox


class ChatTemplate:
    """A compiled chat template; safe to use from several threads."""

    def __init__(self, source: str) -> None:
        """Compile; raises TemplateError when the source is not valid Jinja."""
        self._environment = Sandbox()
        try:
            self._template = self._environment.from_string(source)
        except _COMPILE_ERRORS as error:
            raise TemplateError(
                f"the model's chat template does not compile: {error}", stage="parse"
            ) from error

    def render(
        self,
        messages: Sequence[Mapping[str, object]],
        *,
        tools: Sequence[Mapping[str, object]] | None = None,
        documents: Sequence[Mapping[str, object]] | None = None,
        bos_token: str = "",
        eos_token: str = "",
        add_generation_prompt: bool = True,
        **variables: object,
    ) -> str:
        """The prompt text; raises TemplateError when the template fails or refuses the messages.

        More variables (enable_thinking, reasoning_effort, …) are passed on by their names.
        """
        variables |= {
            "messages": list(messages),
            "tools": list(tools) if tools else None,
            "documents": list(documents) if documents else None,
            "bos_token": bos_token,
            "eos_token": eos_token,
            "add_generation_prompt": add_generation_prompt,
        }
        self._environment.begin()
        try:
            return "".join(self._bounded(variables))
        except TemplateError:
            raise
        except Exception as error:  # a stranger's program ran: whatever it raised is its failure
            reason = str(error) or type(error).__name__
            raise TemplateError(f"the model's chat template failed: {reason}") from error

    def _bounded(self, variables: dict[str, object]) -> list[str]:
        pieces, size = [], 0
        for piece in self._template.generate(variables):
            size += len(piece)
            self._environment.bounded(size)
            pieces.append(piece)
        return pieces


@lru_cache(maxsize=32)
def chat_template(source: str) -> ChatTemplate:
    """The compiled template, kept for the next request."""
    return ChatTemplate(source)


# What Python's compiler raises for code that is nested too deep or has too large a number.
_COMPILE_ERRORS = (jinja2.TemplateError, SyntaxError, ValueError, MemoryError, RecursionError)
