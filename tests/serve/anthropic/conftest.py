"""A server over models that say what they are told to, and Anthropic's own client of it."""

from collections.abc import Iterator
from pathlib import Path

import anthropic
import pytest

from modelkit.store import Store
from tests.serve.api.harness import Server, add_model, running
from tests.serve.scripted import add_script

TELLER = "{{ range .Messages }}{{ .Role }}: {{ .Content }}\n{{ end }}<tell>"
THINKER = """{{ range .Messages }}{{ if .Thinking }}<think>{{ .Thinking }}</think>{{ end }}\
{{ .Content }}{{ end }}{{ if and .IsThinkSet (not .Think) }}<quiet>{{ else }}\
{{ if eq .ThinkLevel "low" }}<brief>{{ else }}<loud>{{ end }}{{ end }}"""
AGENT = """{{ range .Tools }}{{ .Function.Name }} {{ end }}{{ range .Messages }}
{{- if .Thinking }}<think>{{ .Thinking }}</think>{{ end }}
{{- if .ToolCalls }}<tool_call>{{ range .ToolCalls }}{"name": "{{ .Function.Name }}", "arguments": \
{{ .Function.Arguments }}}{{ end }}</tool_call>{{ end }}
{{- if eq .Role "tool" }}result: {{ .Content }} <answer>{{ else }}{{ .Content }}<ask>{{ end }}
{{- end }}"""
STORY = ["Once", " upon", " a time", ".", "\nThe", " end."]
LOUD = ["<think>", "Two and", " two.", "</thi", "nk>", "It is", " 4."]
BRIEF = ["<think> ", "Easy.", "</think> ", "Four."]
CALLS = [
    "<think>\n",
    "Hm.",
    "\n</think>",
    "Let me",
    " see. ",
    '<tool_call>{"name": "get_weather", ',
]
MORE = ['"arguments": {"city":', ' "Oslo"}}', "</tool_call>", '<tool_call>{"name": "clock"}']


@pytest.fixture(scope="session")
def anthropic_models(
    tmp_path_factory: pytest.TempPathFactory, tiny_llama: Path, minilm: Path
) -> Store:
    """teller tells a story, thinker thinks first, agent calls tools; tiny and minilm are real."""
    folder = tmp_path_factory.mktemp("anthropic")
    store = Store(folder / "models")
    add_script(store, folder, "teller", {"<tell>": STORY}, TELLER)
    scripts = {"<loud>": LOUD, "<brief>": BRIEF, "<quiet>": ["Four", ", I say."]}
    add_script(store, folder, "thinker", scripts, THINKER)
    agent = {"<ask>": [*CALLS, *MORE], "<answer>": ["It is", " sunny."]}
    add_script(store, folder, "agent", agent, AGENT)
    add_model(store, "tiny", tiny_llama, parameters={"temperature": 0.0, "seed": 1})
    add_model(store, "minilm", minilm)
    return store


@pytest.fixture(scope="session")
def server(anthropic_models: Store) -> Iterator[Server]:
    """A server shared by all tests of this API."""
    with running(anthropic_models) as server:
        yield server


@pytest.fixture(scope="session")
def client(server: Server) -> Iterator[anthropic.Anthropic]:
    """Anthropic's client of the shared server."""
    with anthropic.Anthropic(base_url=server.url, api_key="any", max_retries=0) as client:
        yield client
