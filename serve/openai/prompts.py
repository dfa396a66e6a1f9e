"""Prompts of text completions: texts, which the template wraps; token ids, which are read as is."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from modelkit.model import Model
from modelkit.serve.api.abilities import require
from modelkit.serve.api.errors import ApiError
from modelkit.serve.completion import Request
from modelkit.serve.loading import Loading
from modelkit.serve.openai.errors import FieldError
from modelkit.serve.output import answer_format
from modelkit.serve.prompt import (
    Ask,
    Message,
    Prompt,
    conversation,
    prompt_text,
    require_template,
    thinks,
)
from modelkit.serve.types import Runner, Sampling


@dataclass
class TextPrompt:
    """One prompt; the text of `tokens` is known once a model has read them."""

    text: str = ""
    tokens: list[int] = field(default_factory=list)

    async def read_tokens(self, runner: Runner) -> Prompt:
        """Look the tokens up: their text is for the reader, the model gets the ids.

        Raises UsageError for one that the vocabulary does not have.
        """
        self.text = await runner.detokenize(self.tokens)
        return Prompt("")


@dataclass(frozen=True)
class Continuation:
    """How prompts are to be continued; the fields are as in Request and in /api/generate."""

    model: Model
    name: str
    loading: Loading
    sampling: Callable[[int], Sampling]
    suffix: str
    think: bool | str | None
    logprobs: int
    truncate: bool

    def check(self) -> None:
        """Raise ApiError 400 for what the model cannot do, TemplateError."""
        require(self.model, self.name, self.think, "generate")
        if self.suffix and "insert" not in self.model.capabilities():
            raise ApiError(400, f"{self.model.name.full} does not support insert")
        require_template(self.model)

    def request(self, prompt: TextPrompt) -> Request:
        """What the model must do."""
        messages = conversation(self.model, [Message(role="user", content=prompt.text)])
        fitted = self.truncate and not self.suffix
        text = prompt_text(
            self.model,
            messages,
            ask=Ask(think=self.think, suffix=self.suffix),
            num_ctx=self.loading.options.num_ctx if fitted else None,
        )
        return Request(
            loading=self.loading,
            text=prompt.read_tokens if prompt.tokens else text,
            sampling=self.sampling,
            context=prompt.tokens,
            logprobs=self.logprobs,
            truncate=self.truncate,
            format=answer_format(self.model, think=bool(thinks(self.model, self.think))),
        )


def read_prompts(value: object) -> list[TextPrompt]:
    """The field `prompt`: text, token ids, or a list of either; raises FieldError."""
    if value is None or value == "":
        return []
    if isinstance(value, list) and value and not _are_tokens(value):
        return [_prompt(item) for item in value]
    return [_prompt(value)]


def _prompt(value: object) -> TextPrompt:
    if isinstance(value, str):
        return TextPrompt(text=value)
    if isinstance(value, list) and _are_tokens(value):
        return TextPrompt(tokens=value)
    text = "'prompt' must be a string, a list of token ids, or a list of either"
    raise FieldError("prompt", text, "invalid_type")


def _are_tokens(values: Sequence[object]) -> bool:
    return bool(values) and all(type(value) is int and 0 <= value < 2**31 for value in values)
