"""Ollama's layer over Go templates: from a conversation to the text of a prompt."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from modelkit.templates import GoTemplate, TemplateError
from modelkit.templates.collate import collate, system_text
from modelkit.templates.go.tree import Action, Body, Define, Field, If, Range, With
from modelkit.templates.messages import Message
from modelkit.templates.tools import Tool, Tools

_RESPONSE = "{{ .Response }}"
# Go accepts such a template: the error is Ollama's own and has no place in its words.
_ONLY_OLLAMAS = "undefined template specified"


@dataclass(frozen=True)
class Think:
    """Whether the model shall think: true, false, a level, or None when nobody said."""

    value: bool | str | None = None

    @property
    def enabled(self) -> bool:
        """Whether it shall."""
        return bool(self.value)

    @property
    def level(self) -> str:
        """How much: the level asked for, medium for a plain yes, nothing for no."""
        return self.value if isinstance(self.value, str) else "medium" if self.value else ""

    def variables(self) -> dict[str, object]:
        """What a Go template sees."""
        given = self.value is not None
        return {"Think": self.enabled, "ThinkLevel": self.level, "IsThinkSet": given}

    def arguments(self) -> dict[str, Any]:
        """What a Jinja template sees."""
        effort = {"reasoning_effort": self.value} if isinstance(self.value, str) else {}
        return {} if self.value is None else {"enable_thinking": self.enabled, **effort}


class PromptTemplate:
    """A model's TEMPLATE; safe to use from several threads."""

    def __init__(self, source: str) -> None:
        """Parse; raises TemplateError.

        A template that shows neither messages nor the response shows the response at its end.
        """
        self.source = source
        self._template = GoTemplate(source)
        names = self._template.identifiers()
        if not {"messages", "response"} & names:
            self._template = GoTemplate(_with_response(source))
        self._by_messages = "messages" in names
        self._last = self._template if self._by_messages else _cut(self._template)

    def render(
        self, messages: Sequence[Message], *, tools: Sequence[Tool] = (), think: Think | None = None
    ) -> str:
        """The prompt of a conversation; raises TemplateError."""
        variables = (think or Think()).variables()
        merged = collate(messages)
        if not self._by_messages:
            return self._turns(merged, variables)
        conversation = {
            "System": system_text(messages),
            "Messages": merged,
            "Tools": Tools(tools),
            "Response": "",
        }
        return self._template.render(conversation | variables)

    def insert(self, prompt: str, suffix: str, *, think: Think | None = None) -> str:
        """The prompt that asks for what belongs between two texts; raises TemplateError."""
        texts: dict[str, object] = {"Prompt": prompt, "Suffix": suffix, "Response": ""}
        return self._template.render(texts | (think or Think()).variables())

    def _turns(self, messages: Sequence[Message], variables: dict[str, object]) -> str:
        """Run the template once a turn; the last time only up to the response.

        A last message from the assistant is so the beginning of the answer.
        """
        texts = []
        turn = _Turn()
        for message in messages:
            if turn.ends_before(message.role):
                texts.append(self._template.render(turn.variables() | variables))
                turn = _Turn()
            turn.add(message)
        texts.append(self._last.render(turn.variables() | variables))
        return "".join(texts)


@lru_cache(maxsize=64)
def prompt_template(source: str) -> PromptTemplate:
    """The parsed template, kept for the next request; raises TemplateError."""
    return PromptTemplate(source)


@contextmanager
def gos_words() -> Iterator[None]:
    """Put the place in front of a template's error as Go does: `template: :1: unclosed action`."""
    try:
        yield
    except TemplateError as error:
        if error.line and error.message != _ONLY_OLLAMAS:
            column = f":{error.column}" if error.stage == "execute" else ""
            error.message = f"template: :{error.line}{column}: {error.message}"
        raise


@dataclass
class _Turn:
    """What one run of a template without `.Messages` shows."""

    system: str = ""
    prompt: str = ""
    response: str = ""

    def ends_before(self, role: str) -> bool:
        """Whether a message of this role begins a new turn."""
        if role == "system":
            return bool(self.prompt or self.response)
        return role == "user" and bool(self.response)

    def add(self, message: Message) -> None:
        """Take the message up; roles other than these three have no place here."""
        if message.role == "system":
            self.system = message.content
        elif message.role == "user":
            self.prompt = message.content
        elif message.role == "assistant":
            self.response = message.content

    def variables(self) -> dict[str, object]:
        """The names that templates know."""
        return {"System": self.system, "Prompt": self.prompt, "Response": self.response}


def _with_response(source: str) -> str:
    """The template with the response at its end."""
    if source.endswith("{"):  # which would become a part of the action's delimiter
        source = source[:-1] + '{{ "{" }}'
    return source + _RESPONSE


def _cut(template: GoTemplate) -> GoTemplate:
    """The template up to its first `{{ .Response }}`, with what is open closed.

    What is defined after that place stays defined.
    """
    found = _response(template.tree, 0)
    if found is None:
        return template
    end, depth = found
    defines = (node for node in template.tree.walk() if isinstance(node, Define))
    later = [template.source[node.start : node.end] for node in defines if node.start >= end]
    return GoTemplate(template.source[:end] + "{{ end }}" * depth + "".join(later))


def _response(body: Body, depth: int) -> tuple[int, int] | None:
    """Where the first action that prints `.Response` ends, and how many blocks are open there."""
    for item in body.items:
        if isinstance(item, Action) and not item.pipeline.variables:
            fields = (node for node in item.walk() if isinstance(node, Field))
            if any("Response" in field.names for field in fields):
                return item.end, depth
        for inner in _inner_bodies(item):
            found = _response(inner, depth + 1)
            if found:
                return found
    return None


def _inner_bodies(item: object) -> list[Body]:
    if isinstance(item, Range):
        bodies = [item.body, item.otherwise]
    elif isinstance(item, If | With):
        bodies = [*(branch.body for branch in item.branches), item.otherwise]
    else:
        return []
    return [body for body in bodies if body]
