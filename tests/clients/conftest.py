"""One `modelkit serve` for all clients: tinychat, all-MiniLM, a scripted agent, endless talk."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from modelkit.compiler.build import build
from modelkit.compiler.recipe import Recipe
from modelkit.modelfile import Modelfile
from modelkit.names import ModelName
from modelkit.store import Store
from tests.conftest import FIXTURES
from tests.processes import serving
from tests.serve.api.harness import add_model
from tests.serve.scripted import add_script

TINYCHAT = FIXTURES / "tinychat"
# After a question the agent calls a tool, after a tool's result it tells the weather.
AGENT = """{{ range .Tools }}{{ .Function.Name }} {{ end }}{{ range .Messages }}
{{- if .Thinking }}<think>{{ .Thinking }}</think>{{ end }}
{{- if .ToolCalls }}<tool_call>{{ range .ToolCalls }}{"name": "{{ .Function.Name }}", "arguments": \
{{ .Function.Arguments }}}{{ end }}</tool_call>
{{- else if eq .Role "tool" }}{{ .Content }}<told>{{ else }}{{ .Content }}<asked>{{ end }}
{{- end }}"""
SCRIPTS = {
    "<asked>": [
        *("<think>", "I must", " look.", "</think>", "<tool_call>", '{"name": "get_'),
        *('weather", "arguments": {"city":', ' "Oslo"}}', "</tool_call>"),
    ],
    "<told>": ["It rains", " in Oslo", "."],
}
ENDLESS: dict[str, object] = {"temperature": 1.2, "top_k": 0, "num_ctx": 4096}


@pytest.fixture(scope="session")
def clients_store(
    tmp_path_factory: pytest.TempPathFactory, tiny_llama: Path, minilm: Path
) -> Store:
    folder = tmp_path_factory.mktemp("clients")
    store = Store(folder / "models")
    modelfile = Modelfile.parse((TINYCHAT / "Modelfile").read_bytes(), filename="Modelfile")
    build(Recipe.from_modelfile(modelfile, TINYCHAT), ModelName.parse("tinychat"), store)
    add_model(store, "all-minilm", minilm)
    add_model(store, "endless", tiny_llama, parameters=ENDLESS)
    add_script(store, folder, "agent", SCRIPTS, AGENT)
    return store


@pytest.fixture(scope="session")
def url(clients_store: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A model answers one request at a time, so that a second answer shows the first's end."""
    settings = {"MODELKIT_MODELS": str(clients_store.root), "MODELKIT_NUM_PARALLEL": "1"}
    folder = tmp_path_factory.mktemp("log")
    with serving(folder, "serve", "--listen", "127.0.0.1:0", **settings) as url:
        yield url
