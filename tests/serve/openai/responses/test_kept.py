"""Responses that are kept: continued, looked up, listed and forgotten."""

from typing import Any

import openai
import pytest
from openai.types.responses import Response

from tests.serve.api.harness import Server


def ask(client: openai.OpenAI, text: Any, **more: Any) -> Response:
    response = client.responses.create(model="agent", input=text, temperature=0, **more)
    assert isinstance(response, Response)
    return response


def tokens(response: Response) -> int:
    assert response.usage
    return response.usage.input_tokens


def test_a_response_is_found_by_its_id(client: openai.OpenAI, server: Server) -> None:
    response = ask(client, "<hello>", metadata={"a": "b"})
    assert client.responses.retrieve(response.id) == response
    stream = client.responses.create(model="agent", input="<hello>", stream=True)
    last = list(stream)[-1]
    assert last.type == "response.completed"
    assert client.responses.retrieve(last.response.id) == last.response


def test_a_conversation_goes_on_without_being_sent_again(client: openai.OpenAI) -> None:
    first = ask(client, "Hi <hello>", instructions="Be brief.")
    second = ask(client, "And <hello>", previous_response_id=first.id)
    said = [{"role": "user", "content": "Hi <hello>"}, *first.output]
    again = [*said, {"role": "user", "content": "And <hello>"}]
    # The instructions were for the first response alone.
    assert tokens(second) == tokens(ask(client, again))
    third = ask(client, "<hello>", previous_response_id=second.id)
    assert tokens(third) > tokens(second) + 3
    assert third.output_text == "Hello there!"


def test_a_conversation_survives_its_beginning(client: openai.OpenAI) -> None:
    first = ask(client, "Hi <hello>")
    second = ask(client, "And <hello>", previous_response_id=first.id)
    client.responses.delete(first.id)
    third = ask(client, "<hello>", previous_response_id=second.id)
    assert tokens(third) > tokens(second)


def test_an_item_can_be_sent_by_its_id(client: openai.OpenAI) -> None:
    first = ask(client, "<ponder>")
    references: Any = [{"type": "item_reference", "id": item.id} for item in first.output]
    more = {"role": "user", "content": "<hello>"}
    by_id = ask(client, [*references, more])
    assert tokens(by_id) == tokens(ask(client, [*first.output, more]))


@pytest.mark.parametrize("stream", [False, True])
def test_an_unknown_previous_response_is_said_to_be_so(client: openai.OpenAI, stream: bool) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        ask(client, "Hi", previous_response_id="resp_1", stream=stream)
    assert caught.value.param == "previous_response_id"
    assert caught.value.code == "previous_response_not_found"
    assert "Previous response with id 'resp_1' not found." in caught.value.message


def test_a_response_is_not_kept_when_the_client_says_so(client: openai.OpenAI) -> None:
    response = ask(client, "<hello>", store=False)
    with pytest.raises(openai.NotFoundError, match="not found"):
        client.responses.retrieve(response.id)


def test_a_response_that_is_too_large_says_that_it_is_not_kept(
    server: Server, client: openai.OpenAI
) -> None:
    body = {"model": "agent", "input": "<hello>", "metadata": {"a": "x" * (1 << 20)}}
    line = server.post("/v1/responses", body).json
    assert line["store"] is False
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(line["id"])


def test_a_deleted_response_is_gone(client: openai.OpenAI, server: Server) -> None:
    response = ask(client, "<hello>")
    deleted = server.request("DELETE", f"/v1/responses/{response.id}")
    assert deleted.json == {"id": response.id, "object": "response", "deleted": True}
    for call in (client.responses.retrieve, client.responses.delete, client.responses.cancel):
        with pytest.raises(openai.NotFoundError, match=f"id '{response.id}' not found"):
            call(response.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.input_items.list(response.id)


def test_a_finished_response_cannot_be_cancelled(client: openai.OpenAI) -> None:
    response = ask(client, "<hello>")
    with pytest.raises(openai.BadRequestError, match="in the background"):
        client.responses.cancel(response.id)


def test_the_input_is_listed_in_pages(client: openai.OpenAI) -> None:
    texts = ["a", "b", "c", "d", "<hello>"]
    response = ask(client, [{"role": "user", "content": text} for text in texts])
    pages = client.responses.input_items.list(response.id, limit=2)
    assert pages.has_more
    listed: list[Any] = list(pages)
    assert [item.content[0].text for item in listed] == texts[::-1]
    forward: Any = client.responses.input_items.list(
        response.id, order="asc", after=listed[3].id, limit=2
    )
    assert [item.content[0].text for item in forward.data] == ["c", "d"]
    assert (forward.first_id, forward.last_id) == (forward.data[0].id, forward.data[1].id)
    assert forward.has_more


def test_only_a_responses_own_input_is_listed(client: openai.OpenAI) -> None:
    first = ask(client, "<hello>")
    second = ask(client, "<hello>", previous_response_id=first.id)
    assert len(list(client.responses.input_items.list(second.id))) == 1


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=x", "limit"),
        ("order=up", "order"),
        ("after=x", "after"),
    ],
)
def test_a_wrong_page_is_refused(
    client: openai.OpenAI, server: Server, query: str, field: str
) -> None:
    name = ask(client, "<hello>").id
    answer = server.request("GET", f"/v1/responses/{name}/input_items?{query}")
    assert (answer.status, answer.json["error"]["param"]) == (400, field)


def test_a_kept_response_is_not_streamed(client: openai.OpenAI) -> None:
    response = ask(client, "<hello>")
    with pytest.raises(openai.BadRequestError, match="stream"):
        client.responses.retrieve(response.id, stream=True)
