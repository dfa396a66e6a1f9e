"""A server over a model that says what it is told to, and one of random weights; its client."""

from collections.abc import Iterator
from pathlib import Path

import openai
import pytest

from modelkit.store import Store
from tests.serve.api.harness import Server, add_model, running
from tests.serve.scripted import add_script

# What the model says depends on how the prompt ends: with what the user says, or with <answer>.
TEMPLATE = """{{ range .Tools }}{{ .Function.Name }} {{ end }}{{ range .Messages }}
{{- if .Thinking }}<think>{{ .Thinking }}</think>{{ end }}
{{- if .ToolCalls }}<tool_call>{{ range .ToolCalls }}{"name": "{{ .Function.Name }}", "arguments": \
{{ .Function.Arguments }}}{{ end }}</tool_call>{{ end }}
{{- if eq .Role "tool" }}result: {{ .Content }} <answer>{{ else }}{{ .Content }}{{ end }}
{{- end }}"""
SCRIPTS = {
    "<hello>": ["Hello", " there", "!"],
    "<weather>": [
        *("Let me", " see. ", "<tool", "_call>", '{"name": "get_', 'weather", "arguments": '),
        *('{"city":', ' "Oslo"}}', "</tool_call>", "\n<tool_call>", '{"name": "add"}'),
    ],
    "<answer>": ["It is", " sunny."],
    "<ponder>": ["<think>", "Hm, ", "well.", "</think>", "So ", "be it."],
    "<quiet>": ["\n \n"],
}


@pytest.fixture(scope="session")
def responses_server(
    tmp_path_factory: pytest.TempPathFactory, tiny_llama: Path
) -> Iterator[Server]:
    """Shared by all tests here, which tell their responses apart by their ids."""
    folder = tmp_path_factory.mktemp("scripts")
    store = Store(folder / "models")
    add_script(store, folder, "agent", SCRIPTS, TEMPLATE)
    add_model(store, "tiny", tiny_llama, parameters={"seed": 1})
    with running(store) as server:
        with pytest.MonkeyPatch.context() as environment:
            # Read when the first response is looked for.
            environment.setenv("MODELKIT_RESPONSES_MEMORY", "1MiB")
            assert server.request("GET", "/v1/responses/none").status == 404
        yield server


@pytest.fixture
def server(responses_server: Server) -> Server:
    return responses_server


@pytest.fixture
def client(server: Server) -> Iterator[openai.OpenAI]:
    """The official client."""
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as client:
        yield client
