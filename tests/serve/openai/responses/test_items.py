"""What clients send as input, kept in one form and understood as a conversation."""

import re
from typing import Any

import pytest

from modelkit.serve.openai.errors import FieldError
from modelkit.serve.openai.responses.items import read_input
from modelkit.serve.openai.responses.store import Item
from modelkit.serve.openai.responses.transcript import messages_of
from modelkit.serve.prompt import Message

CALL = {"type": "function_call", "call_id": "c1", "name": "add", "arguments": '{"b":1,"a":2}'}
OUTPUT = {"type": "function_call_output", "call_id": "c1", "output": "3"}
PIXEL = "iVBORw0KGgo="
IMAGE = {"type": "input_image", "image_url": f"data:image/png;base64,{PIXEL}"}
REASONING = {"type": "reasoning", "summary": [], "encrypted_content": "Hm."}


def nothing(_: str) -> Item | None:
    return None


def understood(value: object, instructions: str = "") -> list[object]:
    return [message.go_json() for message in messages_of(read_input(value, nothing), instructions)]


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def assistant(text: str, **more: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": text, **more}


def called(call_id: str = "c1", index: int = 0) -> dict[str, Any]:
    place = {"index": index} if index else {}
    return {"id": call_id, "function": {**place, "name": "add", "arguments": {"b": 1, "a": 2}}}


def result(text: str, call_id: str = "c1") -> dict[str, Any]:
    return {"role": "tool", "content": text, "tool_name": "add", "tool_call_id": call_id}


@pytest.mark.parametrize("empty", [None, "", []])
def test_no_input_is_no_message(empty: object) -> None:
    assert understood(empty) == []
    assert understood(empty, "Be brief.") == [{"role": "system", "content": "Be brief."}]


def test_a_text_is_one_message_of_the_user() -> None:
    assert understood("Hi", "Be brief.") == [
        {"role": "system", "content": "Be brief."},
        user("Hi"),
    ]


def test_parts_join_into_one_text_and_images_come_beside_it() -> None:
    parts = [{"type": "input_text", "text": "a"}, IMAGE, {"type": "text", "text": "b"}]
    assert understood([{"role": "user", "content": parts}]) == [{**user("ab"), "images": [PIXEL]}]


def test_a_developer_speaks_as_the_system() -> None:
    assert understood([{"role": "Developer", "content": "x"}]) == [
        {"role": "system", "content": "x"}
    ]


def test_a_refusal_is_what_the_assistant_said() -> None:
    parts = [{"type": "refusal", "refusal": "No."}]
    assert understood([{"role": "assistant", "content": parts}]) == [assistant("No.")]


def test_a_call_and_its_output_belong_together() -> None:
    assert understood([user("2+1?"), CALL, OUTPUT]) == [
        user("2+1?"),
        assistant("", tool_calls=[called()]),
        result("3"),
    ]


def test_calls_join_the_message_before_them() -> None:
    said = assistant("Let me see.")
    calls = [called(), called("c2", 1)]
    assert understood([said, CALL, {**CALL, "call_id": "c2"}]) == [
        assistant("Let me see.", tool_calls=calls)
    ]


def test_what_is_said_between_a_call_and_its_output_joins_the_call() -> None:
    before, between = assistant("One."), assistant("Two.")
    assert understood([before, CALL, between, OUTPUT, assistant("Three.")]) == [
        assistant("One.\nTwo.", tool_calls=[called()]),
        result("3"),
        assistant("Three."),
    ]


def test_an_unanswered_call_takes_nothing_that_is_said_after_the_user() -> None:
    assert understood([CALL, user("Stop."), assistant("Fine.")]) == [
        assistant("", tool_calls=[called()]),
        user("Stop."),
        assistant("Fine."),
    ]


@pytest.mark.parametrize(
    "reasoning",
    [
        REASONING,
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm."}]},
        {**REASONING, "encrypted_content": None, "content": [{"type": "r", "text": "Hm."}]},
    ],
)
def test_thoughts_belong_to_what_comes_after_them(reasoning: Item) -> None:
    assert understood([reasoning, CALL]) == [assistant("", thinking="Hm.", tool_calls=[called()])]
    assert understood([reasoning, assistant("So.")]) == [assistant("So.", thinking="Hm.")]


def test_thoughts_that_led_to_nothing_are_a_message() -> None:
    assert understood([REASONING, REASONING]) == [assistant("", thinking="Hm.\nHm.")]
    assert understood([REASONING, user("Well?")]) == [assistant("", thinking="Hm."), user("Well?")]
    # Nothing may stand between a call and its output.
    assert understood([CALL, REASONING, OUTPUT]) == [
        assistant("", thinking="Hm.", tool_calls=[called()]),
        result("3"),
    ]


def test_outputs_may_have_parts_and_calls_no_arguments() -> None:
    call = {**CALL, "arguments": ""}
    output = {**OUTPUT, "output": [{"type": "input_text", "text": "3"}, IMAGE]}
    [first, second] = messages_of(read_input([call, output], nothing), "")
    assert first.tool_calls[0].function.arguments == {}
    assert second == Message(
        role="tool", content="3", images=[PIXEL], tool_call_id="c1", tool_name="add"
    )


def test_an_output_of_an_unknown_call_has_no_name() -> None:
    assert understood([OUTPUT]) == [{"role": "tool", "content": "3", "tool_call_id": "c1"}]


def test_searches_of_elsewhere_say_nothing() -> None:
    assert understood([user("Hi"), {"type": "web_search_call", "id": "ws_1"}]) == [user("Hi")]


def test_items_are_kept_in_one_form_with_an_id() -> None:
    given = [user("Hi"), {**assistant("Ho"), "id": "msg_1", "status": "in_progress"}, OUTPUT]
    first, second, third = read_input(given, nothing)
    assert re.fullmatch("msg_[0-9a-f]{32}", first.pop("id"))
    assert first == {
        "type": "message",
        "status": "completed",
        "role": "user",
        "content": [{"type": "input_text", "text": "Hi"}],
    }
    part = {"type": "output_text", "text": "Ho", "annotations": [], "logprobs": []}
    assert (second["id"], second["content"]) == ("msg_1", [part])
    assert third["id"].startswith("fco_")


def test_reading_what_was_kept_changes_nothing() -> None:
    given = [user("Hi"), REASONING, CALL, OUTPUT, assistant("So.")]
    kept = read_input(given, nothing)
    assert read_input(kept, nothing) == kept


def test_a_reference_is_the_item_it_names() -> None:
    kept = {"id": "msg_1", "type": "message", "role": "user", "content": []}
    items: dict[str, Item] = {"msg_1": kept}
    assert read_input([{"type": "item_reference", "id": "msg_1"}], items.get) == [kept]
    assert read_input([{"id": "msg_1"}], items.get) == [kept]


@pytest.mark.parametrize(
    ("value", "field", "message"),
    [
        (7, "input", "input must be a string or array, not a number"),
        ({}, "input", "input must be a string or array, not an object"),
        (["x"], "input[0]", "input[0]: an input item must be an object, not a string"),
        ([{}], "input[0]", "input[0]: input item missing required 'type' field"),
        ([{"type": "x"}], "input[0]", 'input[0]: unknown or unsupported input item type: "x"'),
        ([{"type": 1}], "input[0]", 'input[0]: unknown or unsupported input item type: "1"'),
        ([{"type": "message"}], "input[0]", "input[0]: missing required 'role' field"),
        ([{"role": "king", "content": ""}], "input[0]", 'input[0]: unknown role "king"'),
        ([{"role": "user"}], "input[0]", "input[0]: content must be a string or array"),
        (
            [user("a"), {**OUTPUT, "output": 3}],
            "input[1]",
            "input[1]: output must be a string or array",
        ),
        (
            [{**CALL, "arguments": "{"}],
            "input[0]",
            "input[0]: failed to parse function call arguments: not a JSON object",
        ),
        ([{**CALL, "name": None}], "input[0]", "input[0]: missing required 'name' field"),
        ([{**CALL, "name": 1}], "input[0]", "input[0]: name must be a string, not a number"),
        (
            [{**REASONING, "summary": "x"}],
            "input[0]",
            "input[0]: summary must be an array of objects",
        ),
        ([{"id": "gone"}], "input[0]", "input[0]: Item with id 'gone' not found."),
    ],
)
def test_a_wrong_item_is_refused_by_its_place(value: object, field: str, message: str) -> None:
    with pytest.raises(FieldError) as caught:
        read_input(value, nothing)
    assert (caught.value.field, caught.value.message) == (field, message)


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ("x", "a part must be an object, not a string"),
        ({"type": "input_file", "file_id": "f"}, "file inputs are not currently supported"),
        ({"type": "input_audio"}, "unknown content type: input_audio"),
        ({"type": "input_text"}, "missing required 'text' field"),
        ({"type": "input_image"}, "missing required 'image_url' field"),
        (
            {"type": "input_image", "file_id": "f"},
            "file_id is not supported, send the image as a data URL",
        ),
    ],
)
def test_a_wrong_part_is_refused_by_its_place(part: object, message: str) -> None:
    with pytest.raises(FieldError) as caught:
        read_input([user("a"), {"role": "user", "content": ["x", part][1:]}], nothing)
    assert caught.value.field == "input[1].content[0]"
    assert caught.value.message == f"input[1]: content[0]: {message}"


def test_an_image_must_come_with_the_request() -> None:
    part = {**IMAGE, "image_url": "https://example.com/a.png"}
    with pytest.raises(FieldError, match="image URLs are not currently supported") as caught:
        read_input([{"role": "user", "content": [part]}], nothing)
    assert caught.value.field == "input[0].content[0]"
