"""The prompt formats of well-known families, in Go's language and in Jinja."""

import pytest

from modelkit.templates.jinja import ChatTemplate
from tests.modelkit.templates.families import (
    NAMES,
    WITH_JINJA,
    WITH_TOOLS,
    data,
    text,
    transformers_values,
)

# The tokens that fixtures/oracle/chat_templates.py gives to transformers.
TOKENS = {"bos_token": "<s>", "eos_token": "</s>"}


def test_at_least_fifteen_families_have_both_forms() -> None:
    assert len(set(NAMES) & set(WITH_JINJA)) >= 15


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


@pytest.mark.oracle
def test_the_committed_values_are_what_transformers_gives() -> None:
    from fixtures.oracle.chat_templates import values

    assert values() == transformers_values()
