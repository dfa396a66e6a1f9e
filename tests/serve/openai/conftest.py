"""One server with small real models, some of which say what they are told, and OpenAI's client."""

from collections.abc import Iterator
from pathlib import Path

import openai
import pytest

from modelkit.store import Store
from tests.serve.api.harness import Server, add_model, derive, running
from tests.serve.scripted import add_script

AGENT = """{{ range .Tools }}{{ .Function.Name }} {{ end }}{{ range .Messages }}
{{- if .ToolCalls }}<tool_call>{{ range .ToolCalls }}{"name": "{{ .Function.Name }}", "arguments": \
{{ .Function.Arguments }}}{{ end }}</tool_call>{{ end }}
{{- if eq .Role "tool" }}{{ .ToolName }}: {{ .Content }} <answer>
{{- else }}{{ .Content }}<ask>{{ end }}
{{- end }}"""
CALLS = [
    *("Let me", " see. ", "<tool", "_call>", '{"name": "get_', 'weather", "arguments": {"city":'),
    *(' "Oslo"}}', "</tool_call>", '\n<tool_call>{"name":', ' "add", "arguments": {"a": 1.5}}'),
]
THINKER = """{{ range .Messages }}{{ if .Thinking }}<think>{{ .Thinking }}</think>{{ end }}
{{- .Content }}{{ end }}{{ if and .IsThinkSet (not .Think) }}<quiet>{{ else }}<loud>{{ end }}"""
LOUD = ["<think>", "\nTwo and", " two.", "\n</thi", "nk>", "\n\n", "It is", " 4."]


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory, tiny_llama: Path, minilm: Path) -> Store:
    """A store that tests only read."""
    folder = tmp_path_factory.mktemp("openai")
    store = Store(folder / "models")
    add_model(store, "tiny", tiny_llama, parameters={"temperature": 0.0, "seed": 1})
    derive(store, "insert", template="{{ .Prompt }}<hole>{{ .Suffix }}")
    derive(store, "caller", template=AGENT)
    derive(store, "plain", template="{{ .Prompt }}")
    add_model(store, "user/minilm", minilm)
    add_script(store, folder, "agent", {"<ask>": CALLS, "<answer>": ["It is", " sunny."]}, AGENT)
    add_script(store, folder, "thinker", {"<loud>": LOUD, "<quiet>": ["Four", ", I say."]}, THINKER)
    swift = ["<think>", "Hm.</think>Well", "."]
    add_script(store, folder, "swift", {"<loud>": swift}, THINKER)
    return store


@pytest.fixture(scope="session")
def server(models: Store) -> Iterator[Server]:
    """A server over `models`."""
    with running(models, keep_alive=600.0) as server:
        yield server


@pytest.fixture
def client(server: Server) -> Iterator[openai.OpenAI]:
    """OpenAI's own client of the server."""
    with openai.OpenAI(
        base_url=f"{server.url}/v1", api_key="any", max_retries=0, timeout=100
    ) as client:
        yield client
