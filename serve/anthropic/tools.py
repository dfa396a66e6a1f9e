"""The tools a request offers, and which of them must be called."""

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import msgspec

from modelkit.errors import UsageError
from modelkit.serve.anthropic.reader import convert
from modelkit.serve.api.chatting import Named
from modelkit.serve.api.chatting import ToolChoice as Choice
from modelkit.serve.api.errors import ApiError
from modelkit.templates.tools import Tools


class Tool(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A function that the client runs. Tools that a server would run have another `type`."""

    name: Annotated[str, msgspec.Meta(min_length=1)]
    input_schema: dict[str, Any]
    description: str | None = None
    type: str | None = None
    strict: bool | None = None
    input_examples: list[dict[str, Any]] | None = None
    cache_control: dict[str, Any] | None = None
    eager_input_streaming: bool | None = None
    defer_loading: Literal[False] | None = None
    allowed_callers: list[Literal["direct"]] | None = None

    def native(self) -> dict[str, Any]:
        """The tool as /api/chat takes it; raises ApiError 400 for a schema that is none."""
        function = {
            "name": self.name,
            "description": self._description(),
            "parameters": self.input_schema,
        }
        tool = {"type": "function", "function": function}
        try:
            Tools.of([tool])
        except UsageError as error:
            name = json.dumps(self.name, ensure_ascii=False)
            raise ApiError(400, f"invalid input_schema for tool {name}: {error.message}") from error
        return tool

    def _description(self) -> str:
        """What the tool does, and how it may be called."""
        text = self.description or ""
        if not self.input_examples:
            return text
        examples = [json.dumps(example, ensure_ascii=False) for example in self.input_examples]
        return "\n".join([text, "Examples of input:", *examples]).lstrip()


class ToolChoice(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Whether tools may or must be called, and several at once."""

    type: Literal["auto", "any", "tool", "none"]
    name: str | None = None
    disable_parallel_tool_use: bool = False

    def choice(self, tools: list[Tool]) -> Choice:
        """The same in no API's words; raises ApiError 400 for what cannot be called."""
        if self.type == "auto" or self.type == "none":
            return self.type
        if not tools:
            raise ApiError(400, "tool_choice: there are no tools to choose from")
        if self.type == "any":
            return "required"
        if self.name not in {tool.name for tool in tools}:
            raise ApiError(400, f"tool_choice.name: no tool is called `{self.name or ''}`")
        return Named(self.name or "")


def read_tools(values: Sequence[Mapping[str, Any]]) -> list[Tool]:
    """The tools of a body; raises ApiError 400 naming what is unknown in one."""
    return [_read(value, f"tools.{place}") for place, value in enumerate(values)]


def _read(value: Mapping[str, Any], at: str) -> Tool:
    kind = value.get("type")
    if kind not in (None, "custom"):
        raise ApiError(400, f"{at}.type: `{kind}` is not supported")
    return convert(value, Tool, at)
