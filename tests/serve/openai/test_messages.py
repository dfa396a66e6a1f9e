"""Messages as OpenAI's clients write them: what becomes of each kind, and what is refused."""

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelkit.errors import ModelkitError
from modelkit.serve.openai.errors import FieldError
from modelkit.serve.openai.messages import chat_messages, image_data
from modelkit.templates.messages import Message
from tests.serve.api.harness import Server

PIXEL = base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()
PNG = f"data:image/png;base64,{PIXEL}"
CALL = {
    "id": "c1",
    "type": "function",
    "function": {"name": "add", "arguments": '{"b": 1, "a": 2}'},
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
FIELDS = st.sampled_from(["role", "content", "tool_calls", "name", "tool_call_id", "refusal"])


def one(**message: Any) -> Message:
    [found] = chat_messages([{"role": "user"} | message])
    return found


def refused(**message: Any) -> FieldError:
    with pytest.raises(FieldError) as caught:
        one(**message)
    return caught.value


def test_text_is_the_content() -> None:
    assert one(content="Hi") == Message(role="user", content="Hi")
    assert one(role="Developer", content="Be brief.").role == "system"


def test_parts_are_one_message() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "refusal", "refusal": "b"}]
    assert one(content=parts).content == "a\nb"
    assert one(content=[]).content == ""


@pytest.mark.parametrize("prefix", ["data:;base64,", "data:image/jpg;base64,"])
def test_images_are_their_base64(prefix: str) -> None:
    for image in (prefix + PIXEL, {"url": prefix + PIXEL, "detail": "low"}):
        message = one(
            content=[{"type": "text", "text": "a"}, {"type": "image_url", "image_url": image}]
        )
        assert (message.content, message.images) == ("a", [PIXEL])


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("https://example.com/a.png", "image URLs are not currently supported"),
        ("data:image/gif;base64,AAAA", "invalid image input"),
        ("file:///etc/passwd", "invalid image input"),
    ],
)
def test_other_urls_are_refused(url: str, text: str) -> None:
    with pytest.raises(FieldError, match=text):
        image_data(url, "here")


@pytest.mark.parametrize(
    ("content", "field", "text"),
    [
        (2, "messages[0].content", "invalid message content type: float64"),
        (True, "messages[0].content", "invalid message content type: bool"),
        ({}, "messages[0].content", "invalid message content type: map[string]interface {}"),
        (None, "messages[0].content", "invalid message content type: <nil>"),
        ([1], "messages[0].content[0]", "invalid message format"),
        ([{"type": "video"}], "messages[0].content[0]", "invalid message format"),
        ([{"type": "text", "text": 1}], "messages[0].content[0]", "invalid message format"),
        ([{"type": "image_url"}], "messages[0].content[0]", "invalid message format"),
        ([{"type": "file"}], "messages[0].content[0].file", "is not supported"),
        ([{"type": "input_audio"}], "messages[0].content[0].input_audio", "is not supported"),
    ],
)
def test_content_that_is_none(content: object, field: str, text: str) -> None:
    error = refused(content=content)
    assert error.field == field
    assert text in error.message


def test_calls_and_what_came_of_them() -> None:
    asked, told = chat_messages(
        [
            {"role": "assistant", "content": None, "tool_calls": [CALL], "reasoning": "Hm."},
            {"role": "tool", "tool_call_id": "c1", "content": [{"type": "text", "text": "3"}]},
        ]
    )
    assert (asked.content, asked.thinking) == ("", "Hm.")
    [call] = asked.tool_calls
    assert (call.id, call.function.name) == ("c1", "add")
    assert list(call.function.arguments.items()) == [("b", 1), ("a", 2)]
    assert (told.role, told.content, told.tool_name) == ("tool", "3", "add")
    assert told.tool_call_id == "c1"


def test_the_last_call_with_an_id_is_meant() -> None:
    other = CALL | {"function": {"name": "subtract", "arguments": "{}"}}
    calls = {"role": "assistant", "tool_calls": [CALL, other]}
    told = {"role": "tool", "tool_call_id": "c1", "content": "3"}
    assert chat_messages([calls, told])[1].tool_name == "subtract"
    assert chat_messages([calls, told | {"name": "own"}])[1].tool_name == "own"
    assert chat_messages([calls, told | {"tool_call_id": "c2"}])[1].tool_name == ""


@pytest.mark.parametrize("arguments", ["", "{", "[]", "1", "null"])
def test_arguments_must_be_an_object(arguments: str) -> None:
    call = {"id": "c", "function": {"name": "add", "arguments": arguments}}
    error = refused(role="assistant", tool_calls=[call])
    assert error.message == "invalid tool call arguments"
    assert error.field == "messages[0].tool_calls[0].function.arguments"


@pytest.mark.parametrize(
    ("message", "field"),
    [
        ({"role": "robot", "content": "x"}, "messages[0].role"),
        ({"role": 1, "content": "x"}, "messages[0].role"),
        ({"content": "x", "cache": 1}, "messages[0].cache"),
        ({"content": "x", "audio": {"id": "a"}}, "messages[0].audio"),
        ({"tool_calls": [CALL | {"type": "custom"}]}, "messages[0].tool_calls[0].type"),
        ({"tool_calls": [{"id": "c"}]}, "messages[0].tool_calls[0].function"),
    ],
)
def test_the_wrong_field_is_named(message: dict[str, Any], field: str) -> None:
    assert refused(**message).field == field


def test_an_answers_own_fields_may_come_back() -> None:
    answer: dict[str, Any] = {
        "refusal": None,
        "annotations": [],
        "audio": None,
        "function_call": None,
    }
    assert one(role="assistant", content="x", **answer).content == "x"


@given(st.lists(st.dictionaries(FIELDS, JSON) | JSON, max_size=3))
def test_whatever_comes_is_read_or_refused(values: list[object]) -> None:
    try:
        messages = chat_messages(values)
    except ModelkitError:
        return
    assert len(messages) == len(values)


def test_a_model_without_eyes_says_so(server: Server) -> None:
    for url, text in ((PNG, '"tiny" does not support images'), (PNG + "!", "illegal base64 data")):
        content = [{"type": "image_url", "image_url": {"url": url}}]
        body = {"model": "tiny", "messages": [{"role": "user", "content": content}]}
        answer = server.post("/v1/chat/completions", body)
        assert answer.status == 400
        assert text in answer.json["error"]["message"]
