"""POST /v1/chat/completions with OpenAI's client: answers, streams, numbers, limits."""

import json
from typing import Any

import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam

from tests.serve.api.harness import Answer, Server

USER: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Hi"}]
LONG: list[ChatCompletionMessageParam] = [{"role": "user", "content": "word " * 200}]
SMALL = {"options": {"num_ctx": 64}}


def post(server: Server, **body: Any) -> Answer:
    request = {"model": "tiny", "messages": USER, "max_tokens": 4} | body
    return server.post("/v1/chat/completions", request)


def events(answer: Answer) -> list[Any]:
    """The data of a stream's events; `[DONE]` as text."""
    assert answer.headers["content-type"] == "text/event-stream"
    assert answer.headers["cache-control"] == "no-cache"
    frames = answer.body.decode().split("\n\n")
    assert frames.pop() == ""
    assert all(frame.startswith("data: ") for frame in frames)
    datas = [frame.removeprefix("data: ") for frame in frames]
    return [data if data == "[DONE]" else json.loads(data) for data in datas]


def test_the_client_gets_an_answer_with_its_numbers(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model="tiny", messages=USER, max_tokens=4)
    [choice] = answer.choices
    assert choice.message.role == "assistant"
    assert choice.message.content
    assert choice.finish_reason == "length"
    assert answer.id.startswith("chatcmpl-")
    assert (answer.model, answer.object) == ("tiny", "chat.completion")
    usage = answer.usage
    assert usage
    assert usage.completion_tokens == 4
    assert usage.total_tokens == usage.prompt_tokens + 4
    again = client.chat.completions.create(model="tiny", messages=USER, max_tokens=1)
    assert again.usage
    assert again.usage.prompt_tokens_details
    assert again.usage.prompt_tokens_details.cached_tokens == usage.prompt_tokens - 1


def test_the_keys_of_an_answer_have_their_order(server: Server) -> None:
    answer = post(server).json
    assert list(answer) == [
        *("id", "object", "created", "model", "system_fingerprint", "choices", "usage")
    ]
    assert list(answer["choices"][0]) == ["index", "message", "finish_reason"]
    assert list(answer["choices"][0]["message"]) == ["role", "content"]


def test_a_stream_says_what_the_whole_answer_says(client: openai.OpenAI) -> None:
    ask: dict[str, Any] = {"model": "tiny", "messages": USER, "max_tokens": 6, "temperature": 0}
    whole = client.chat.completions.create(**ask)
    with client.chat.completions.create(**ask, stream=True) as stream:
        chunks = list(stream)
    texts = [chunk.choices[0].delta.content or "" for chunk in chunks]
    assert "".join(texts) == whole.choices[0].message.content
    assert len({(chunk.id, chunk.created) for chunk in chunks}) == 1
    assert chunks[-1].choices[0].finish_reason == "length"
    assert all(chunk.usage is None for chunk in chunks)


def test_the_frames_of_a_stream(server: Server) -> None:
    found = events(post(server, stream=True))
    assert found.pop() == "[DONE]"
    assert [chunk["choices"][0]["delta"].get("role") for chunk in found] == [
        "assistant",
        *[None] * (len(found) - 1),
    ]
    assert found[-1]["choices"] == [{"index": 0, "delta": {}, "finish_reason": "length"}]
    keys = ["id", "object", "created", "model", "system_fingerprint", "choices"]
    assert all(list(chunk) == keys for chunk in found)
    assert all(chunk["object"] == "chat.completion.chunk" for chunk in found)


def test_usage_is_the_last_chunk_when_it_is_asked_for(server: Server) -> None:
    found = events(post(server, stream=True, stream_options={"include_usage": True}))
    assert found.pop() == "[DONE]"
    assert found[-1]["choices"] == []
    assert found[-1]["usage"]["completion_tokens"] == 4
    assert [chunk for chunk in found if "usage" in chunk] == found[-1:]


def test_an_empty_answer_is_a_role_and_an_end(server: Server) -> None:
    found = events(post(server, stream=True, max_tokens=0))
    [first, last] = [chunk["choices"][0] for chunk in found[:-1]]
    assert first["delta"] == {"role": "assistant", "content": ""}
    assert (last["delta"], last["finish_reason"]) == ({}, "length")


def test_n_answers_have_seeds_of_their_own(client: openai.OpenAI) -> None:
    ask: dict[str, Any] = {"model": "tiny", "messages": USER, "max_tokens": 8, "n": 3, "seed": 7}
    answer = client.chat.completions.create(**ask)
    texts = [choice.message.content for choice in answer.choices]
    assert [choice.index for choice in answer.choices] == [0, 1, 2]
    assert len(set(texts)) == 3
    assert answer.usage
    assert answer.usage.completion_tokens == 24
    alone = client.chat.completions.create(**ask | {"n": 1})
    assert alone.choices[0].message.content == texts[0]
    assert alone.usage
    assert alone.usage.prompt_tokens == answer.usage.prompt_tokens


def test_a_stream_of_n_answers_tells_them_apart(server: Server) -> None:
    found = events(post(server, stream=True, n=2, seed=7))
    assert found.pop() == "[DONE]"
    choices = [chunk["choices"][0] for chunk in found]
    whole = post(server, n=2, seed=7).json["choices"]
    for index in range(2):
        mine = [choice for choice in choices if choice["index"] == index]
        assert mine[0]["delta"]["role"] == "assistant"
        assert mine[-1]["finish_reason"] == "length"
        text = "".join(choice["delta"].get("content", "") for choice in mine)
        assert text == whole[index]["message"]["content"]


def test_seeds_of_64_bits_are_seeds(server: Server) -> None:
    texts = [
        post(server, seed=seed, max_tokens=12).json["choices"][0]["message"]["content"]
        for seed in (2**40 + 5, 2**40 + 5, 2**40 + 6)
    ]
    assert texts[0] == texts[1] != texts[2]


def test_both_names_of_the_limit_hold(server: Server) -> None:
    for limit in ({"max_tokens": 3}, {"max_tokens": None, "max_completion_tokens": 3}):
        assert post(server, **limit).json["usage"]["completion_tokens"] == 3


def test_stop_ends_the_answer(server: Server) -> None:
    ask: dict[str, Any] = {"model": "thinker", "think": False, "max_tokens": 50}
    for stop in (", I", [", I", "zzz"]):
        choice = post(server, stop=stop, **ask).json["choices"][0]
        assert (choice["message"]["content"], choice["finish_reason"]) == ("Four", "stop")


def test_logit_bias_decides(client: openai.OpenAI) -> None:
    ask: dict[str, Any] = {"model": "tiny", "messages": USER, "max_tokens": 3}
    likely = client.chat.completions.create(**ask, logit_bias={"70": 100})
    assert likely.choices[0].message.content
    assert len(set(likely.choices[0].message.content)) == 1


def test_log_probabilities(client: openai.OpenAI) -> None:
    ask: dict[str, Any] = {"model": "tiny", "messages": USER, "max_tokens": 3, "temperature": 0}
    answer = client.chat.completions.create(**ask, logprobs=True, top_logprobs=2)
    logprobs = answer.choices[0].logprobs
    assert logprobs
    assert logprobs.content
    assert len(logprobs.content) == 3
    for item in logprobs.content:
        assert len(item.top_logprobs) == 2
        assert item.top_logprobs[0].token == item.token
        assert bytes(item.bytes or []).decode() == item.token
    with client.chat.completions.create(**ask, logprobs=True, stream=True) as stream:
        found = [chunk.choices[0].logprobs for chunk in stream]
    tokens = [item.token for each in found if each for item in each.content or []]
    assert tokens == [item.token for item in logprobs.content]


def test_options_beside_openais_fields(server: Server) -> None:
    cold = [post(server, options={"temperature": 0.0}, seed=seed) for seed in (1, 2)]
    assert cold[0].json["choices"] == cold[1].json["choices"]
    odd = post(server, options={"warmth": 3})
    assert odd.headers["x-modelkit-ignored-options"] == "warmth"


def test_temperature_is_1_unless_something_says_otherwise(server: Server) -> None:
    texts = {str(post(server, seed=seed, max_tokens=8).json["choices"]) for seed in range(4)}
    assert len(texts) > 1


@pytest.mark.parametrize("stream", [False, True])
def test_a_prompt_that_is_too_long_is_refused(client: openai.OpenAI, stream: bool) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="tiny", messages=LONG, extra_body=SMALL, stream=stream)
    assert caught.value.code == "context_length_exceeded"
    assert caught.value.type == "invalid_request_error"


def test_a_prompt_that_is_too_long_is_cut_when_that_is_asked_for(server: Server) -> None:
    answer = post(server, messages=LONG, truncate=True, **SMALL).json
    details = answer["usage"]["prompt_tokens_details"]
    assert details["dropped_tokens"] > 100
    assert answer["usage"]["prompt_tokens"] <= 64


def test_a_model_that_is_not_there(client: openai.OpenAI) -> None:
    for stream in (False, True):
        with pytest.raises(openai.NotFoundError) as caught:
            client.chat.completions.create(model="nope", messages=USER, stream=stream)
        assert caught.value.body == {
            "message": "model 'nope' not found",
            "type": "not_found_error",
            "param": None,
            "code": "model_not_found",
        }


def test_what_is_shown_instead_of_an_answer(server: Server) -> None:
    answer = post(server, _debug_render_only=True).json
    assert "Hi" in answer["_debug_info"]["rendered_template"]
    assert answer["choices"][0]["finish_reason"] is None


def test_any_authorization_and_only_post(server: Server) -> None:
    headers = {"Authorization": "Bearer whatever"}
    assert server.request("GET", "/v1/models", headers=headers).status == 200
    assert server.request("GET", "/v1/chat/completions").status == 405
    assert server.request("POST", "/v1/images/generations").status == 404
