"""POST /api/generate and what it shares with /api/chat."""

import json
from typing import Any

import ollama
import pytest

from tests.serve.api.harness import Server

FAST: dict[str, Any] = {"num_predict": 8, "temperature": 0.0, "num_ctx": 512}


def generate(server: Server, **body: Any) -> Any:
    body = {"model": "tiny", "prompt": "Why", "stream": False, "options": FAST} | body
    answer = server.post("/api/generate", body)
    assert answer.status == 200, answer.body
    return answer.json


def refusal(server: Server, path: str = "/api/generate", **body: Any) -> tuple[int, str]:
    answer = server.post(path, {"model": "tiny", "prompt": "Why"} | body)
    return answer.status, answer.error


def test_the_client_streams_an_answer(client: ollama.Client) -> None:
    parts = list(client.generate("tiny", "Why is the sky blue?", stream=True, options=FAST))
    assert [part.done for part in parts] == [False] * (len(parts) - 1) + [True]
    last = parts[-1]
    assert last.done_reason == "length"
    assert last.eval_count == 8
    assert last.prompt_eval_count
    assert last.prompt_eval_count > 5
    assert min(last.total_duration or 0, last.load_duration or 0, last.eval_duration or 0) > 0
    assert "".join(part.response or "" for part in parts)


def test_a_stream_is_ndjson_in_the_documented_order(shared: Server) -> None:
    answer = shared.post("/api/generate", {"model": "tiny", "prompt": "Why", "options": FAST})
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert answer.body.endswith(b"}\n")
    lines = answer.body.splitlines()
    assert [list(json.loads(line))[:12] for line in (lines[0], lines[-1])] == [
        ["model", "created_at", "response", "done"],
        [
            "model",
            "created_at",
            "response",
            "done",
            "done_reason",
            "context",
            "total_duration",
            "load_duration",
            "prompt_eval_count",
            "prompt_eval_duration",
            "eval_count",
            "eval_duration",
        ],
    ]
    assert json.loads(lines[0])["created_at"].endswith("Z")


def test_one_body_says_the_same_as_the_stream(shared: Server) -> None:
    whole = generate(shared)
    parts = shared.post("/api/generate", {"model": "tiny", "prompt": "Why", "options": FAST}).lines
    assert whole["response"] == "".join(part["response"] for part in parts)
    assert whole["context"] == parts[-1]["context"]


def test_stream_null_is_the_default(shared: Server) -> None:
    body = {"model": "tiny", "prompt": "Why", "stream": None, "options": FAST}
    assert len(shared.post("/api/generate", body).lines) > 1


def test_the_model_is_echoed_as_it_was_written(shared: Server) -> None:
    for name in (" tiny ", "TINY:latest", "tiny:local", "library/tiny"):
        assert generate(shared, model=name)["model"] == name


def test_an_empty_prompt_only_loads(shared: Server) -> None:
    answer = shared.post("/api/generate", {"model": "tiny", "stream": True})
    assert len(answer.lines) == 1
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    assert list(answer.json) == ["model", "created_at", "response", "done", "done_reason"]
    assert answer.json["done_reason"] == "load"
    assert "tiny:latest" in [
        model["name"] for model in shared.request("GET", "/api/ps").json["models"]
    ]


@pytest.mark.parametrize("keep_alive", [0, "0", 0.0, "0s"])
def test_an_empty_prompt_with_keep_alive_0_unloads(shared: Server, keep_alive: object) -> None:
    shared.post("/api/generate", {"model": "tiny"})
    answer = shared.post("/api/generate", {"model": "tiny", "keep_alive": keep_alive})
    assert answer.json["done_reason"] == "unload"
    assert not [
        model
        for model in shared.request("GET", "/api/ps").json["models"]
        if model["name"] == "tiny:latest"
    ]
    again = shared.post("/api/generate", {"model": "tiny", "keep_alive": keep_alive})
    assert (again.status, again.json["done_reason"]) == (200, "unload")


def test_the_context_continues_the_conversation(shared: Server) -> None:
    first = generate(shared)
    second = generate(shared, context=first["context"], prompt="And")
    assert second["prompt_eval_count"] > len(first["context"])
    assert second["context"][: len(first["context"])] == first["context"]


def test_a_token_that_the_model_does_not_have_is_refused(shared: Server) -> None:
    for token in (10**6, -5, 2**40):
        answer = shared.post(
            "/api/generate", {"model": "tiny", "prompt": "a", "context": [token], "options": FAST}
        )
        assert answer.status == 400, answer.body
    assert generate(shared)["done"]


def test_raw_text_goes_to_the_model_as_it_is(shared: Server) -> None:
    raw = generate(shared, prompt="abc", raw=True)
    assert "context" not in raw
    assert raw["prompt_eval_count"] < generate(shared, prompt="abc")["prompt_eval_count"]
    debug = generate(shared, prompt="abc", raw=True, _debug_render_only=True)
    assert debug["_debug_info"] == {"rendered_template": "abc"}


@pytest.mark.parametrize("extra", [{"system": "x"}, {"template": "x"}, {"context": [1]}])
def test_raw_excludes_template_system_and_context(shared: Server, extra: dict[str, Any]) -> None:
    assert refusal(shared, raw=True, **extra) == (
        400,
        "raw mode does not support template, system, or context",
    )


def rendered(server: Server, **body: Any) -> str:
    answer = generate(server, _debug_render_only=True, stream=True, **body)
    assert (answer["response"], answer["done"]) == ("", False)
    return str(answer["_debug_info"]["rendered_template"])


def test_the_ggufs_own_template_makes_the_prompt(shared: Server) -> None:
    text = rendered(shared, prompt="Hi", system="Be brief.")
    assert "<|start_header_id|>system<|end_header_id|>" in text
    assert "Be brief." in text
    assert text.endswith("<|start_header_id|>assistant<|end_header_id|>\n\n")
    assert not text.startswith("<|begin_of_text|>")


def test_the_begin_token_is_there_once(shared: Server) -> None:
    context = generate(shared)["context"]
    assert context.count(context[0]) == 1


def test_the_plain_template_is_the_prompt_alone(shared: Server) -> None:
    assert rendered(shared, model="plain", prompt="Hi", system="Be brief.") == "Hi"
    assert rendered(shared, prompt="Hi", template="{{ .Prompt }}") == "Hi"


def test_stored_messages_come_first_unless_there_is_a_context(shared: Server) -> None:
    text = rendered(shared, model="persona", prompt="Hi")
    assert text.index("You are Mario.") < text.index("Hi")
    assert text.count("<|start_header_id|>") == 5
    assert rendered(shared, model="persona", prompt="Hi", context=[1]).count("_header_id|>") == 6
    assert "You are Luigi." in rendered(shared, model="persona", system="You are Luigi.")


def test_a_go_template_makes_the_prompt(shared: Server) -> None:
    assert rendered(shared, model="go", prompt="Hi", system="Sir") == "Sir Hi"
    assert rendered(shared, prompt="Hi", template="{{ .System }}: {{ .Prompt }}") == ": Hi"


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ({"top_logprobs": 21}, 400, "top_logprobs must be between 0 and 20"),
        ({"top_logprobs": -1}, 400, "top_logprobs must be between 0 and 20"),
        ({"model": "nope", "top_logprobs": 21}, 400, "top_logprobs must be between 0 and 20"),
        ({"think": True}, 400, '"tiny" does not support thinking'),
        ({"think": "high"}, 400, '"tiny" does not support thinking'),
        (
            {"think": "ultra"},
            400,
            'invalid think value: "ultra" (must be "high", "medium", "low", "max", true, or false)',
        ),
        (
            {"think": 1},
            400,
            'think must be a boolean or string ("high", "medium", "low", "max", true, or false)',
        ),
        ({"model": "minilm"}, 400, '"minilm" does not support generate'),
        (
            {"suffix": "x"},
            400,
            "registry.ollama.ai/library/tiny:latest does not support insert",
        ),
        ({"options": {"num_ctx": "8"}}, 400, 'option "num_ctx" must be of type integer'),
        ({"options": {"num_ctx": True}}, 400, 'option "num_ctx" must be of type integer'),
        ({"options": {"temperature": "1"}}, 400, 'option "temperature" must be of type float32'),
        ({"options": {"use_mmap": 1}}, 400, 'option "use_mmap" must be of type boolean'),
        ({"options": {"stop": "x"}}, 400, 'option "stop" must be of type array'),
        ({"options": {"stop": [1]}}, 400, 'option "stop" must be of an array of strings'),
        ({"options": {"seed": 1e300}}, 400, 'option "seed" is out of range'),
        ({"options": {"top_k": 10**400}}, 400, 'option "top_k" is out of range'),
        ({"options": {"temperature": 1e39}}, 400, 'option "temperature" is out of range'),
        ({"options": {"temperature": 10**400}}, 400, 'option "temperature" is out of range'),
        ({"options": {"repeat_penalty": 0}}, 400, 'option "repeat_penalty" must be at least 1e-06'),
        ({"options": {"mirostat": 3}}, 400, 'option "mirostat" must be between 0 and 2'),
        ({"options": {"mirostat": "2"}}, 400, 'option "mirostat" must be of type integer'),
        (
            {"options": {"xtc_probability": 2}},
            400,
            'option "xtc_probability" must be between 0 and 1',
        ),
        (
            {"options": {"dry_sequence_breakers": "x"}},
            400,
            'option "dry_sequence_breakers" must be of type array',
        ),
        (
            {"options": {"logit_bias": [[1, 2]]}},
            400,
            'option "logit_bias" must be an object of token ids and numbers',
        ),
        (
            {"options": {"logit_bias": {"the": 1}}},
            400,
            'option "logit_bias" names a token that is no id: "the"',
        ),
        (
            {"options": {"logit_bias": {"1": True}}},
            400,
            'option "logit_bias" must have a number for token 1',
        ),
        ({"options": {"logit_bias": {"1": 1e39}}}, 400, 'option "logit_bias" is out of range'),
        (
            {"options": {"logit_bias": {"99999999": 1}}},
            400,
            "token 99999999 is not in the model's vocabulary",
        ),
        ({"keep_alive": "10"}, 400, 'time: missing unit in duration "10"'),
        ({"keep_alive": True}, 400, "Unsupported type: 'bool'"),
        (
            {"format": "xml"},
            400,
            'invalid format: "\\"xml\\""; expected "json" or a valid JSON Schema object',
        ),
        (
            {"images": ["data:image/png;base64,AAAA"]},
            400,
            "illegal base64 data at input byte 4",
        ),
        ({"images": ["AAAA"]}, 400, '"tiny" does not support images'),
    ],
)
def test_what_cannot_be_answered_is_refused_in_one_line(
    shared: Server, body: dict[str, Any], status: int, message: str
) -> None:
    assert refusal(shared, **body) == (status, message)


@pytest.mark.parametrize(
    "body",
    [
        {"think": False},
        {"format": ""},
        {"format": None},
        {"options": FAST | {"foo": 1, "seed": None, "top_k": 1.9, "Temperature": "hot"}},
        {"keep_alive": "-1m"},
        {"keep_alive": "5m"},
        {"images": []},
        {"truncate": False},
        {"shift": True},
    ],
)
def test_harmless_fields_are_accepted(shared: Server, body: dict[str, Any]) -> None:
    assert generate(shared, **body)["done"]


def test_unknown_options_are_named_in_a_header(shared: Server) -> None:
    strange = {"Temperature": 1, "a, b": 1, "\r\nSet-Cookie: x": 1, "é" * 100: 1}
    body = {"model": "tiny", "prompt": "a", "options": FAST | strange}
    for extra in ({}, {"stream": False}, {"prompt": ""}, {"_debug_render_only": True}):
        headers = shared.post("/api/generate", body | extra).headers
        assert headers["x-modelkit-ignored-options"] == (
            "Temperature, a%2C%20b, %0D%0ASet-Cookie%3A%20x, " + "%C3%A9" * 64
        )
    answer = shared.post("/api/generate", body | {"options": FAST | {"mirostat": 0}})
    assert "x-modelkit-ignored-options" not in answer.headers
    chat = {"model": "tiny", "messages": [], "options": {"numa": True}}
    assert shared.post("/api/chat", chat).headers["x-modelkit-ignored-options"] == "numa"


def test_the_samplers_of_llama_cpp_are_options(shared: Server) -> None:
    def said(**options: Any) -> str:
        hot = {"temperature": 1.5, "seed": 3, "num_predict": 16, "num_ctx": 512}
        return str(generate(shared, options=hot | options)["response"])

    plain = said()
    for options in (
        {"mirostat": 1},
        {"mirostat": 2, "mirostat_tau": 1.0, "mirostat_eta": 0.5},
        {"top_n_sigma": 0.1},
        {"xtc_probability": 1.0, "xtc_threshold": 0.0},
    ):
        assert said(**options) == said(**options) != plain
    assert said(dry_multiplier=0.0, top_n_sigma=-1) == plain


def test_stop_strings_end_the_answer(shared: Server) -> None:
    text = generate(shared, options=FAST | {"num_predict": 30})["response"]
    stop = text[5:8]
    cut = generate(shared, options=FAST | {"num_predict": 30, "stop": [stop]})
    assert cut["response"] == text[: text.index(stop)]
    assert cut["done_reason"] == "stop"


def test_an_answer_is_at_most_ten_contexts_long(shared: Server) -> None:
    answer = generate(
        shared,
        raw=True,
        options={"num_predict": -1, "num_ctx": 16, "seed": 7, "temperature": 1.5, "top_k": 0},
    )
    assert answer["eval_count"] <= 160


def test_logprobs_come_with_each_token(shared: Server) -> None:
    answer = generate(shared, logprobs=True, top_logprobs=3)
    assert len(answer["logprobs"]) == 8
    for item in answer["logprobs"]:
        assert len(item["top_logprobs"]) == 3
        assert item["logprob"] <= 0
        assert bytes(item["bytes"]).decode("utf-8", "replace") == item["token"]
        assert item["top_logprobs"][0]["logprob"] >= item["logprob"] - 1e-6
    plain = generate(shared, logprobs=True)
    assert all("top_logprobs" not in item for item in plain["logprobs"])
    assert "logprobs" not in generate(shared, top_logprobs=3)


def test_text_is_escaped_as_go_does(shared: Server) -> None:
    body = {"model": "tiny", "prompt": "<b>&", "raw": True, "_debug_render_only": True}
    assert b"\\u003cb\\u003e\\u0026" in shared.post("/api/generate", body).body


def test_an_endless_repetition_is_ended_with_numbers(shared: Server) -> None:
    # Penalties off and greedy, a model of random weights soon says one token for ever.
    options = {"num_predict": 400, "temperature": 0.0, "num_ctx": 2048, "repeat_last_n": 0}
    answer = generate(shared, prompt="a", raw=True, options=options)
    assert answer["done"]
    assert answer["eval_count"] <= 400


def test_a_missing_model_is_a_response_error_of_the_client(client: ollama.Client) -> None:
    with pytest.raises(ollama.ResponseError) as caught:
        client.generate("nope", "x")
    assert (caught.value.status_code, caught.value.error) == (404, "model 'nope' not found")
