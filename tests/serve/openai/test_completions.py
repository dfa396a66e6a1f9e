"""POST /v1/completions with OpenAI's client: prompts of text and of tokens, echo, insertion."""

from typing import Any

import openai
import pytest

from tests.serve.api.harness import Answer, Server
from tests.serve.openai.test_chat import events


def post(server: Server, **body: Any) -> Answer:
    request = {"model": "tiny", "prompt": "Hi", "max_tokens": 4, "temperature": 0} | body
    return server.post("/v1/completions", request)


def texts(server: Server, **body: Any) -> list[str]:
    answer = post(server, **body)
    assert answer.status == 200, answer.body
    return [choice["text"] for choice in answer.json["choices"]]


def tokens(server: Server, text: str) -> list[int]:
    async def tokenize() -> list[int]:
        entry = next(entry for entry in server.scheduler._roster if "tiny" in entry.name)
        return await entry.runner.tokenize(text, add_special=False)

    return server.call(tokenize())


def test_the_client_gets_a_text(client: openai.OpenAI) -> None:
    answer = client.completions.create(model="tiny", prompt="Hi", max_tokens=4)
    assert (answer.object, answer.choices[0].index) == ("text_completion", 0)
    assert answer.id.startswith("cmpl-")
    assert answer.choices[0].text
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage
    assert answer.usage.completion_tokens == 4


def test_a_stream_says_what_the_whole_answer_says(client: openai.OpenAI) -> None:
    ask: dict[str, Any] = {"model": "tiny", "prompt": "Hi", "max_tokens": 5, "temperature": 0}
    whole = client.completions.create(**ask)
    with client.completions.create(**ask, stream=True) as stream:
        chunks = list(stream)
    assert "".join(chunk.choices[0].text for chunk in chunks) == whole.choices[0].text
    reasons = [chunk.choices[0].finish_reason for chunk in chunks]
    assert reasons == [None] * (len(chunks) - 1) + ["length"]


def test_usage_in_a_stream_is_zero_until_its_end(server: Server) -> None:
    found = events(post(server, stream=True, stream_options={"include_usage": True}))
    assert found.pop() == "[DONE]"
    totals = [chunk["usage"]["total_tokens"] for chunk in found]
    assert totals[:-1] == [0] * (len(found) - 1)
    assert totals[-1] > 4
    assert found[-1]["choices"] == []


def test_several_prompts_are_answered_in_their_order(server: Server) -> None:
    both = texts(server, prompt=["Hello", "You"])
    assert both == texts(server, prompt="Hello") + texts(server, prompt="You")
    found = post(server, prompt=["Hello", "You"], n=2, seed=3, temperature=1).json
    assert [choice["index"] for choice in found["choices"]] == [0, 1, 2, 3]
    assert found["usage"]["completion_tokens"] == 16


def test_tokens_are_read_as_they_are(server: Server) -> None:
    prompt = texts(server, prompt="Hi", model="plain", echo=True, max_tokens=0)
    assert prompt == ["Hi"]
    ids = tokens(server, "The sky")
    answer = post(server, prompt=ids, echo=True)
    assert answer.json["choices"][0]["text"].startswith("The sky")
    assert answer.json["usage"]["prompt_tokens"] == len(ids)
    assert texts(server, prompt=[ids, ids]) == 2 * texts(server, prompt=ids)


def test_a_token_that_is_none_is_refused(server: Server) -> None:
    answer = post(server, prompt=[1, 10**8])
    assert answer.status == 400
    assert "token 100000000 is not in the model's vocabulary" in answer.json["error"]["message"]


def test_echo_begins_with_the_prompt(server: Server) -> None:
    [text] = texts(server)
    assert texts(server, echo=True) == ["Hi" + text]
    found = events(post(server, echo=True, stream=True))[:-1]
    assert "".join(chunk["choices"][0]["text"] for chunk in found) == "Hi" + text
    assert texts(server, echo=True, max_tokens=0, n=2) == ["Hi", "Hi"]


def test_log_probabilities_in_the_form_of_old(client: openai.OpenAI) -> None:
    answer = client.completions.create(
        model="tiny", prompt="Hi", max_tokens=3, temperature=0, logprobs=2
    )
    logprobs = answer.choices[0].logprobs
    assert logprobs
    assert "".join(logprobs.tokens or []) == answer.choices[0].text
    assert logprobs.text_offset
    assert logprobs.tokens
    assert logprobs.text_offset[1] == len(logprobs.tokens[0])
    for token, number, top in zip(
        logprobs.tokens, logprobs.token_logprobs or [], logprobs.top_logprobs or [], strict=True
    ):
        assert len(top) == 2
        assert top[token] == number


def test_a_stream_of_log_probabilities_has_the_same_offsets(server: Server) -> None:
    whole = post(server, logprobs=0).json["choices"][0]["logprobs"]
    found = [
        chunk["choices"][0]["logprobs"]
        for chunk in events(post(server, logprobs=0, stream=True))[:-1]
    ]
    offsets = [offset for each in found if each for offset in each["text_offset"]]
    assert offsets == whole["text_offset"]


def test_a_suffix_needs_a_model_that_can_insert(server: Server) -> None:
    answer = post(server, suffix="!", model="insert", _debug_render_only=True)
    assert answer.json["_debug_info"]["rendered_template"] == "Hi<hole>!"
    assert post(server, suffix="!", model="insert").status == 200
    refused = post(server, suffix="!")
    assert refused.status == 400
    assert refused.json["error"]["message"].endswith("does not support insert")


@pytest.mark.parametrize("prompt", ["", None])
def test_an_empty_prompt_only_loads(server: Server, prompt: object) -> None:
    choice = post(server, prompt=prompt).json["choices"][0]
    assert (choice["text"], choice["finish_reason"]) == ("", "load")
    [chunk, done] = events(post(server, prompt=prompt, stream=True))
    assert (chunk["choices"][0]["finish_reason"], done) == ("load", "[DONE]")


def test_a_prompt_that_is_too_long(server: Server) -> None:
    long: dict[str, Any] = {"prompt": "word " * 100, "options": {"num_ctx": 64}}
    answer = post(server, **long)
    assert answer.status == 400
    assert answer.json["error"]["code"] == "context_length_exceeded"
    cut = post(server, **long, truncate=True).json
    assert cut["usage"]["prompt_tokens_details"]["dropped_tokens"] > 0


def test_a_model_of_embeddings_does_not_complete(server: Server) -> None:
    answer = post(server, model="user/minilm")
    assert answer.status == 400
    assert answer.json["error"]["message"] == '"user/minilm" does not support generate'
