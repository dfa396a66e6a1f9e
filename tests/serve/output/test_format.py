"""What answers are made of, told from the templates of real models."""

from pathlib import Path

import pytest
from hypothesis import given

from modelkit.serve.output import AnswerFormat, answer_format
from modelkit.serve.output.forms import DEEPSEEK, DEEPSEEK_R1, MISTRAL, XML, CallForm, call_form
from modelkit.store import Store
from tests.modelkit.models import LLAMA, make
from tests.modelkit.templates.families import text
from tests.serve.output.pieces import cut, cuts, sort

BOTH = AnswerFormat(("<think>", "</think>"), "<tool_call>", ("add",))
CALL = '<tool_call>{"name": "add", "arguments": {"a": 1}}</tool_call>'


@pytest.mark.parametrize(
    ("name", "thinking", "tag"),
    [
        ("qwen2.5", None, "<tool_call>"),
        ("llama3.1", None, "{"),
        ("mistral-tools", None, "[TOOL_CALLS] ["),
        ("qwen3", ("<think>", "</think>"), "{"),
        ("deepseek-r1", ("<think>", "</think>"), "{"),
        ("chatml", None, "{"),
    ],
)
def test_tags_are_told_from_a_go_template(
    store: Store, tmp_path: Path, name: str, thinking: tuple[str, str] | None, tag: str
) -> None:
    model = make(store, tmp_path, LLAMA, template=text(f"{name}.gotmpl"))
    assert answer_format(model, think=True, tools=["f", ""]) == AnswerFormat(thinking, tag, ("f",))
    assert answer_format(model, think=False) == AnswerFormat()


@pytest.mark.parametrize(
    ("jinja", "expected"),
    [
        ("{{ tools }}<tool_call>", AnswerFormat(None, "<tool_call>", ("f",))),
        ("{{ tools }}[TOOL_CALLS]", AnswerFormat(None, "[TOOL_CALLS]", ("f",))),
        ("{{ tools }}", AnswerFormat(None, "{", ("f",))),
        (
            "<think></think><tool_call>",
            AnswerFormat(("<think>", "</think>"), "<tool_call>", ("f",)),
        ),
    ],
)
def test_tags_are_told_from_a_jinja_template(
    store: Store, tmp_path: Path, jinja: str, expected: AnswerFormat
) -> None:
    model = make(store, tmp_path, LLAMA | {"tokenizer.chat_template": jinja})
    assert answer_format(model, think=True, tools=["f"]) == expected


@pytest.mark.parametrize(
    ("jinja", "form"),
    [
        ("{{ tools }}<tool_call>\n<function=", XML),
        ("{{ tools }}[TOOL_CALLS]{{ name }}[ARGS]", MISTRAL),
        ("{{ tools }}" + DEEPSEEK.opening + DEEPSEEK.middle + "' + tool['name']", DEEPSEEK),
        (
            "{{ tools }}" + DEEPSEEK.opening + r"'```json\n' + tool['function']['arguments']",
            DEEPSEEK_R1,
        ),
        ("{{ tools }}", call_form("{", "")),
    ],
)
def test_the_form_of_calls_is_told_from_a_template(
    store: Store, tmp_path: Path, jinja: str, form: CallForm
) -> None:
    model = make(store, tmp_path, LLAMA | {"tokenizer.chat_template": jinja})
    assert answer_format(model, think=False, tools=["f"]).form == form


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("qwen2.5", '<tool_call>\n{"name": "f", "arguments": {}}\n</tool_call>'),
        ("llama3.1", '{"name": "f", "parameters": {}}'),
        ("mistral-tools", '[TOOL_CALLS] [{"name": "f", "arguments": {}}]'),
    ],
)
def test_calls_are_spelt_as_a_go_template_does(
    store: Store, tmp_path: Path, name: str, call: str
) -> None:
    model = make(store, tmp_path, LLAMA, template=text(f"{name}.gotmpl"))
    form = answer_format(model, think=False, tools=["f"]).form
    parts = (form.opening, form.before, "f", form.middle, "{}", form.after, form.closing)
    assert "".join(parts) == call


def test_a_template_only_for_tools_tells_their_tag(store: Store, tmp_path: Path) -> None:
    templates = {
        "tokenizer.chat_template": "plain",
        "tokenizer.chat_template.tool_use": "<tool_call>",
    }
    model = make(store, tmp_path, LLAMA | templates)
    assert answer_format(model, think=True, tools=["f"]).tool_tag == "<tool_call>"


def test_gpt_oss_writes_in_channels(store: Store, tmp_path: Path) -> None:
    metadata = {key.replace("llama.", "gpt-oss."): value for key, value in LLAMA.items()} | {
        "general.architecture": "gpt-oss"
    }
    model = make(store, tmp_path, metadata)
    found = answer_format(model, think=False, tools=["f"])
    assert (found.harmony, found.tools) == (True, ("f",))
    channels = "<|channel|>analysis<|message|>T<|end|><|start|>assistant<|message|>A<|end|>"
    assert sort(found.parser("<|start|>assistant"), [channels]) == ("A", "T", [])
    assert sort(found.without_thoughts().parser(""), ["<|end|>"]) == ("<|end|>", "", [])


@pytest.mark.parametrize("prompt", ["a<think>", "a<think>\n"])
def test_a_prompt_that_opens_the_thoughts_is_seen(prompt: str) -> None:
    assert sort(BOTH.parser(prompt), ["a</think>b"]) == ("b", "a", [])
    assert sort(BOTH.parser("a"), ["a</think>b"]) == ("a</think>b", "", [])


@given(cuts)
def test_thoughts_content_and_calls_are_told_apart(places: list[int]) -> None:
    text = f"<think>\nWhat <tool_call> is\n</think>\n\nWell: {CALL}\n{CALL}"
    call = ("add", {"a": 1})
    expected = ("Well: ", "What <tool_call> is\n", [(0, *call), (1, *call)])
    assert sort(BOTH.parser(""), cut(text, places)) == expected


@given(cuts)
def test_what_is_held_back_at_the_end_goes_through_all_stages(places: list[int]) -> None:
    assert sort(BOTH.parser(""), cut("<thi", places)) == ("<thi", "", [])
    assert sort(BOTH.parser(""), cut("<think>a</think>b<tool", places)) == ("b<tool", "a", [])
    assert sort(AnswerFormat().parser(""), cut("<think>a", places)) == ("<think>a", "", [])
