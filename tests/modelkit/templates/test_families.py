"""The prompt formats of well-known families, in Go's language and in Jinja."""

import json
from typing import Any

import msgspec
import pytest

from modelkit.templates.jinja import ChatTemplate
from modelkit.templates.messages import Message
from modelkit.templates.prompt import PromptTemplate
from modelkit.templates.tools import Tools
from tests.modelkit.templates.families import (
    NAMES,
    WITH_JINJA,
    WITH_TOOLS,
    data,
    text,
    transformers_values,
)
from tests.modelkit.templates.test_go_reference import Render, go, go_program

__all__ = ["go", "go_program"]  # fixtures of the comparison with Go, used here too

SNIPPETS: list[str] = json.loads(text("snippets.json"))
# The tokens that fixtures/oracle/chat_templates.py gives to transformers.
TOKENS: dict[str, Any] = {"bos_token": "<s>", "eos_token": "</s>"}
# The end tokens of the families whose Jinja form asks for it.
EOS = {"mistral": "</s>", "zephyr": "</s>", "deepseek-v2": "<｜end▁of▁sentence｜>"}  # noqa: RUF001


def test_at_least_fifteen_families_have_both_forms() -> None:
    assert len(set(NAMES) & set(WITH_JINJA)) >= 15


def messages(name: str) -> list[Message]:
    return msgspec.json.decode(text(name), type=list[Message])


@pytest.mark.parametrize("name", NAMES)
def test_a_go_form_gives_the_documented_prompt(name: str) -> None:
    prompt = PromptTemplate(text(f"{name}.gotmpl")).render(messages("conversation.json"))
    assert prompt == text(f"{name}.txt")


@pytest.mark.parametrize("name", NAMES)
def test_gos_own_engine_gives_the_documented_prompt(name: str, go: Render) -> None:
    source, expected = text(f"{name}.gotmpl"), text(f"{name}.txt")
    said = messages("conversation.json")
    if ".Messages" in source:
        fields = ("Role", "Content", "Thinking", "ToolCalls")
        conversation = [{field: message.go_field(field) for field in fields} for message in said]
        data = {"System": "Be brief.", "Messages": conversation, "Tools": []}
        assert go(source, data) == ("output", expected)
        return
    # A template over one turn: Go renders the first whole, and the last beyond the response.
    system, first, answer, last = (message.content for message in said)
    turns = [
        {"System": system, "Prompt": first, "Response": answer},
        {"System": "", "Prompt": last, "Response": ""},
    ]
    whole, rest = (go(source, turn)[1] for turn in turns)
    assert expected.startswith(whole)
    assert rest.startswith(expected.removeprefix(whole))


@pytest.mark.parametrize("name", WITH_TOOLS)
def test_a_go_form_shows_tools_calls_and_results(name: str) -> None:
    template, tools = PromptTemplate(text(f"{name}.gotmpl")), Tools.of(data("tools.json"))
    prompt = template.render(messages("tool_conversation.json"), tools=tools)
    assert prompt == text(f"{name}.tools.txt")


@pytest.mark.parametrize("name", WITH_JINJA)
def test_both_forms_of_a_family_give_the_same_prompt(name: str) -> None:
    prompt = ChatTemplate(text(f"{name}.jinja")).render(
        data("conversation.json"), eos_token=EOS.get(name, "")
    )
    assert prompt == text(f"{name}.txt")


@pytest.mark.parametrize("name", WITH_JINJA)
def test_a_jinja_form_is_rendered_as_transformers_does(name: str) -> None:
    template, values = ChatTemplate(text(f"{name}.jinja")), transformers_values()
    conversation = data("conversation.json")
    assert template.render(conversation, **TOKENS) == values[name]
    reply = template.render(conversation, add_generation_prompt=False, **TOKENS)
    assert reply == values[f"{name}.reply"]


@pytest.mark.parametrize("name", sorted(set(WITH_JINJA) & set(WITH_TOOLS)))
def test_tools_reach_a_jinja_form_as_transformers_gives_them(name: str) -> None:
    template = ChatTemplate(text(f"{name}.jinja"))
    prompt = template.render(data("tool_conversation.json"), tools=data("tools.json"), **TOKENS)
    assert prompt == transformers_values()[f"{name}.tools"]


@pytest.mark.parametrize("number", range(len(SNIPPETS)))
def test_a_piece_of_jinja_means_what_it_means_to_transformers(number: int) -> None:
    template = ChatTemplate(SNIPPETS[number])
    values = transformers_values()
    assert template.render(data("conversation.json"), **TOKENS) == values[f"snippet.{number}"]


@pytest.mark.oracle
def test_the_committed_values_are_what_transformers_gives() -> None:
    from fixtures.oracle.chat_templates import values

    assert values() == transformers_values()
