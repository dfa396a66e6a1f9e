"""What the answers of a model are made of, told from the template that writes its prompts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from modelkit.model import Model
from modelkit.serve.output.harmony import HarmonyParser
from modelkit.serve.output.parser import OutputParser, StagedParser
from modelkit.serve.output.thinking import ThinkingParser
from modelkit.serve.output.tools import tool_parser
from modelkit.templates import GoTemplate
from modelkit.templates.choice import pick_template
from modelkit.templates.detect import jinja_traits, think_tags, tool_tag

_HARMONY_FAMILIES = ("gptoss", "gpt-oss")
_JINJA_THINK_TAGS = ("<think>", "</think>")
# What stands before a call in the chat templates of Hermes and Qwen, Mistral, DeepSeek, Granite,
# NVIDIA's Llamas and Firefunction. Llama 3.1 and others write the bare object.
_JINJA_TOOL_TAGS = (
    "<tool_call>",
    "[TOOL_CALLS]",
    "<|tool▁calls▁begin|>",
    "<|tool_call|>",
    "<TOOLCALL>",
    "functools[",
)


@dataclass(frozen=True)
class AnswerFormat:
    """The tags around thoughts, the tag before calls of tools, the names of those tools.

    Without thinking tags, thoughts are content; without tools, so are calls. Harmony, the format
    of gpt-oss, marks both in its own way.
    """

    thinking: tuple[str, str] | None = None
    tool_tag: str = "{"
    tools: tuple[str, ...] = ()
    harmony: bool = False

    def parser(self, prompt: str) -> OutputParser:
        """The parser of one answer to `prompt`."""
        if self.harmony:
            return HarmonyParser(prompt, self.tools)
        thoughts = self.thoughts(prompt)
        calls = tool_parser(self.tool_tag, self.tools) if self.tools else None
        return StagedParser([stage for stage in (thoughts, calls) if stage])

    def thoughts(self, prompt: str) -> OutputParser | None:
        """The parser of thoughts alone; None for a model that does not think.

        A prompt that ends with the opening tag has begun the thoughts itself.
        """
        if self.harmony:
            return HarmonyParser(prompt)
        if self.thinking is None:
            return None
        opening, closing = self.thinking
        return ThinkingParser(opening, closing, started=prompt.rstrip().endswith(opening))

    def without_thoughts(self) -> "AnswerFormat":
        """The format of an answer whose thoughts are over."""
        return AnswerFormat(tool_tag=self.tool_tag, tools=() if self.harmony else self.tools)


def answer_format(model: Model, *, think: bool, tools: Sequence[str] = ()) -> AnswerFormat:
    """How the model writes when it may think and call these tools."""
    names = tuple(filter(None, tools))
    if model.config.model_family in _HARMONY_FAMILIES or model.config.parser == "harmony":
        return AnswerFormat(tools=names, harmony=True)
    if not think and not names:
        return AnswerFormat()
    go = model.go_template
    tags = _jinja_tags(model.chat_templates, bool(names)) if go is None else _go_tags(go)
    return AnswerFormat(tags.thinking if think else None, tags.tool_tag, names)


@lru_cache(maxsize=64)
def _go_tags(source: str) -> AnswerFormat:
    template = GoTemplate(source)
    return AnswerFormat(think_tags(template), tool_tag(template))


def _jinja_tags(templates: Mapping[str, str], tools: bool) -> AnswerFormat:
    source = pick_template(templates, tools=tools) or ""
    thinking = _JINJA_THINK_TAGS if jinja_traits(source).thinking else None
    tag = next((tag for tag in _JINJA_TOOL_TAGS if tag in source), "{")
    return AnswerFormat(thinking, tag)
