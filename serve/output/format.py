"""What the answers of a model are made of, told from the template that writes its prompts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from modelkit.model import Model
from modelkit.serve.output.forms import HARMONY, XML, CallForm, call_form
from modelkit.serve.output.harmony import HarmonyParser
from modelkit.serve.output.parser import OutputParser, StagedParser
from modelkit.serve.output.thinking import ThinkingParser
from modelkit.serve.output.tools import tool_parser
from modelkit.serve.output.xml_calls import XmlCalls
from modelkit.templates import GoTemplate
from modelkit.templates.choice import pick_template
from modelkit.templates.detect import jinja_traits, think_tags, tool_tag

_HARMONY_FAMILIES = ("gptoss", "gpt-oss")
_XML_TAG = "<tool_call>"
_JINJA_THINK_TAGS = ("<think>", "</think>")
# What stands before a call in the chat templates of Hermes and Qwen, Mistral, DeepSeek, Granite,
# NVIDIA's Llamas and Firefunction. Llama 3.1 and others write the bare object.
_JINJA_TOOL_TAGS = (
    "<tool_call>",
    "[TOOL_CALLS]",
    "<\uff5ctool▁calls▁begin\uff5c>",
    "<|tool_call|>",
    "<TOOLCALL>",
    "functools[",
)


@dataclass(frozen=True)
class AnswerFormat:
    """The tags around thoughts, the tag before calls of tools, the names of those tools.

    Without thinking tags, thoughts are content; without tools, so are calls. Harmony, the format
    of gpt-oss, marks both in its own way. form: how calls are written; schemas: the parameters of
    tools by name, which only a form without JSON needs. enclosed: the answer's grammar covers its
    thoughts.
    """

    thinking: tuple[str, str] | None = None
    tool_tag: str = "{"
    tools: tuple[str, ...] = ()
    harmony: bool = False
    form: CallForm = field(default=call_form("{", ""), compare=False)
    schemas: Mapping[str, Any] = field(default_factory=dict, compare=False)
    enclosed: bool = False

    def parser(self, prompt: str) -> OutputParser:
        """The parser of one answer to `prompt`."""
        if self.harmony:
            return HarmonyParser(prompt, self.tools)
        thoughts = self.thoughts(prompt)
        return StagedParser([stage for stage in (thoughts, self._calls()) if stage])

    def _calls(self) -> OutputParser | None:
        if not self.tools:
            return None
        if self.form.style == "xml":
            return XmlCalls(self.tool_tag, self.tools, self.schemas)
        return tool_parser(self.tool_tag, self.tools, self.form)

    def thoughts(self, prompt: str) -> OutputParser | None:
        """The parser of thoughts that come before the grammar; None when there are none.

        A prompt that ends with the opening tag has begun the thoughts itself.
        """
        if self.enclosed:
            return None
        if self.harmony:
            return HarmonyParser(prompt)
        if self.thinking is None:
            return None
        opening, closing = self.thinking
        return ThinkingParser(opening, closing, started=prompt.rstrip().endswith(opening))

    def without_thoughts(self) -> "AnswerFormat":
        """The format of an answer whose thoughts are over."""
        if self.harmony:
            return AnswerFormat(tool_tag=self.tool_tag)
        return replace(self, thinking=None)


def answer_format(
    model: Model,
    *,
    think: bool,
    tools: Sequence[str] = (),
    schemas: Mapping[str, Any] | None = None,
) -> AnswerFormat:
    """How the model writes when it may think and call these tools; their schemas by name."""
    names = tuple(filter(None, tools))
    if is_harmony(model):
        return AnswerFormat(tools=names, harmony=True, form=HARMONY)
    if not think and not names:
        return AnswerFormat()
    go = model.go_template
    tags = _jinja_tags(model.chat_templates, bool(names)) if go is None else _go_tags(go)
    if model.config.parser == "qwen3-coder":
        tags = replace(tags, tool_tag=_XML_TAG, form=XML)
    thinking = tags.thinking if think else None
    return replace(tags, thinking=thinking, tools=names, schemas=schemas or {})


def is_harmony(model: Model) -> bool:
    """Does the model write as gpt-oss does?"""
    return model.config.model_family in _HARMONY_FAMILIES or model.config.parser == "harmony"


@lru_cache(maxsize=64)
def _go_tags(source: str) -> AnswerFormat:
    template = GoTemplate(source)
    tag = tool_tag(template)
    return AnswerFormat(think_tags(template), tag, form=call_form(tag, source))


def _jinja_tags(templates: Mapping[str, str], tools: bool) -> AnswerFormat:
    source = pick_template(templates, tools=tools) or ""
    thinking = _JINJA_THINK_TAGS if jinja_traits(source).thinking else None
    tag = next((tag for tag in _JINJA_TOOL_TAGS if tag in source), "{")
    return AnswerFormat(thinking, tag, form=call_form(tag, source))
