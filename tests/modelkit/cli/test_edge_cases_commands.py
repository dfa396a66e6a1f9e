"""Edge cases 70 to 85 of the second list: what commands print, ask a server for, and refuse."""

import json
import os
import pty
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from modelkit.cli.format import human_age, human_bytes
from modelkit.manifest import ModelConfig
from modelkit.quantize.probe import write_tiny_model
from modelkit.store import Store
from tests.cli import Modelkit
from tests.modelkit.models import stored
from tests.registry.servers import Reply, Request, WebServer

NUMBERS = {*range(70, 79), 81, 83, 85}
HEADER = ["NAME", "ID", "SIZE", "MODIFIED"]
LEVELS = "(must be true, false, high, medium, low, or max)"


def test_70_an_empty_store_lists_its_header(modelkit: Modelkit, models: Store) -> None:
    assert modelkit("list").out.split() == HEADER


def test_70_a_model_that_is_elsewhere_has_no_size(modelkit: Modelkit, models: Store) -> None:
    config = ModelConfig(remote_host="http://h:1", remote_model="big")
    stored(models, config)
    _, line = modelkit("list").out.splitlines()
    assert line.split()[2] == "-"
    shown = modelkit("show", "test").out.splitlines()
    assert [line.split() for line in shown[1:3]] == [
        ["Remote", "model", "big"],
        ["Remote", "URL", "http://h:1"],
    ]


@pytest.mark.parametrize(("number", "size", "text"), [(70, 1024, "1.0 KB")])
def test_a_size_is_decimal(number: int, size: int, text: str) -> None:
    assert human_bytes(size) == text


@pytest.mark.parametrize(
    ("number", "fields", "shown"),
    [
        (71, {"size": 4000, "size_vram": 3000}, "25%/75% CPU/GPU"),
        (71, {"size": 4000, "size_vram": 0, "left": -1}, "Stopping..."),
        (71, {"size": 4000, "size_vram": 0, "left": 21 * 365 * 86400}, "Forever"),
    ],
)
def test_a_loaded_model_is_described(
    modelkit: Modelkit, number: int, fields: dict[str, Any], shown: str
) -> None:
    ends = datetime.fromtimestamp(time.time() + fields.pop("left", 60), UTC).isoformat()
    model = {"name": "m", "digest": "0" * 64, "expires_at": ends, "context_length": 4096}
    body = json.dumps({"models": [model | fields]}).encode()
    with WebServer(lambda _: Reply(body=body)) as web:
        assert shown in modelkit("--host", web.url, "ps").out


@pytest.mark.parametrize(
    ("number", "hours", "text"),
    [
        (72, 47.6, "2 days"),
        (72, 47.4, "47 hours"),
        (72, 90 / 3600, "About a minute"),
    ],
)
def test_an_age_reads_like_speech(number: int, hours: float, text: str) -> None:
    assert human_age(hours * 3600) == text


def test_73_only_one_part_is_shown_at_a_time(modelkit: Modelkit, models: Store) -> None:
    # A difference: wrong usage ends with 2.
    line = modelkit.fails(2, "show", "m", "--license", "--system")
    parts = "'--license', '--modelfile', '--parameters', '--template', '--system'"
    assert f"only one of {parts} can be specified" in line


class Ears(WebServer):
    """A server that has any model and answers every prompt, and the requests that it got."""

    def __init__(self, *capabilities: str) -> None:
        self.capabilities = capabilities
        super().__init__(self.respond)

    def respond(self, request: Request) -> Reply:
        answers: dict[str, Any] = {
            "/api/show": {"capabilities": self.capabilities},
            "/api/embed": {"embeddings": [[0.5, 0.25]]},
            "/api/generate": {"response": "Yes.", "thinking": "Hm.", "done": True},
            "/api/chat": {"message": {"content": "Yes."}, "done": True},
        }
        return Reply(body=json.dumps(answers.get(request.path, {})).encode())

    @property
    def heard(self) -> dict[str, Any]:
        """The last request's body."""
        found: dict[str, Any] = json.loads(self.requests[-1].body)
        return found


@pytest.fixture
def ears() -> Iterator[Ears]:
    """A server with a model that thinks."""
    with Ears("completion", "thinking") as web:
        yield web


@pytest.mark.parametrize(
    ("number", "words", "asked"),
    [
        (74, ["--think", "high", "x"], {"think": True, "prompt": "high x"}),
        (74, ["--think=high", "x"], {"think": "high", "prompt": "x"}),
        (74, ["--think=false", "x"], {"think": False, "prompt": "x"}),
        (74, ["--", "--think"], {"prompt": "--think"}),
        (75, ["--keepalive", "10m", "x"], {"keep_alive": "10m", "prompt": "x"}),
    ],
)
def test_what_run_asks_for(
    modelkit: Modelkit, ears: Ears, number: int, words: list[str], asked: dict[str, Any]
) -> None:
    result = modelkit("--host", ears.url, "run", "m", *words)
    assert (result.code, result.out) == (0, "Yes.\n")
    assert result.err == "Thinking...\nHm.\n...done thinking.\n\n"
    assert ears.heard == {"model": "m"} | asked


def test_74_thoughts_can_be_hidden(modelkit: Modelkit, ears: Ears) -> None:
    assert modelkit("--host", ears.url, "run", "--hidethinking", "m", "x").err == ""


@pytest.mark.parametrize(
    ("number", "words", "text"),
    [
        (74, ["--think=bad", "x"], f'invalid value for --think: "bad" {LEVELS}'),
        (75, ["--keepalive", "10", "x"], 'time: missing unit in duration "10"'),
    ],
)
def test_what_run_refuses(modelkit: Modelkit, number: int, words: list[str], text: str) -> None:
    assert text in modelkit.fails(2, "run", "m", *words)


@pytest.mark.parametrize(
    ("number", "piped", "words", "prompt"),
    [(76, "text\n", ["q"], "text\n q"), (76, "", [], "")],
)
def test_what_is_piped_goes_before_the_prompt(
    ears: Ears, number: int, piped: str, words: list[str], prompt: str
) -> None:
    command = [sys.executable, "-m", "modelkit", "--host", ears.url, "run", "m", *words]
    subprocess.run(command, input=piped, text=True, check=True, capture_output=True)
    assert ears.heard == {"model": "m", "prompt": prompt}


def test_77_an_embedding_model_needs_text_and_prints_its_vector(modelkit: Modelkit) -> None:
    with Ears("embedding") as web:
        line = modelkit.fails(2, "--host", web.url, "run", "m", "")
        assert "embedding models require input text" in line
        assert modelkit("--host", web.url, "run", "m", "sky").out == "[0.5, 0.25]\n"


def converse(url: str, *lines: str) -> str:
    """What is printed when these lines are typed on a terminal."""
    terminal, its_end = pty.openpty()
    command = [sys.executable, "-m", "modelkit", "--host", url, "run", "m"]
    try:
        os.write(terminal, "".join(f"{line}\n" for line in (*lines, "/bye")).encode())
        done = subprocess.run(
            command, stdin=its_end, text=True, capture_output=True, check=True, timeout=60
        )
    finally:
        os.close(terminal)
        os.close(its_end)
    return done.stdout + done.stderr


def test_78_a_message_may_have_several_lines(ears: Ears) -> None:
    assert "Yes." in converse(ears.url, '"""a', 'b"""')
    assert ears.heard["messages"] == [{"role": "user", "content": "a\nb"}]


@pytest.mark.parametrize(
    ("number", "line", "said"),
    [
        (
            78,
            "/set parameter temperature x",
            'Couldn\'t set parameter: "invalid float value [x]"',
        ),
        (78, "/set parameter warmth 1", "Couldn't set parameter: \"unknown parameter 'warmth'\""),
        (78, "/foo", "Unknown command '/foo'. Type /? for help"),
    ],
)
def test_a_command_that_is_wrong_is_answered(ears: Ears, number: int, line: str, said: str) -> None:
    assert said in converse(ears.url, line)


def test_78_parameters_hold_for_what_comes(ears: Ears) -> None:
    said = converse(ears.url, "/set parameter temperature 0.5", "/set parameter stop a b", "Hi")
    assert "Set parameter 'stop' to 'a, b'" in said
    assert ears.heard["options"] == {"temperature": 0.5, "stop": ["a", "b"]}


def test_81_without_a_server_a_version_is_all_there_is(modelkit: Modelkit) -> None:
    host = ["--host", "127.0.0.1:1"]
    assert "could not connect to a server" in modelkit.fails(1, *host, "ps")
    # A difference: no server is asked for its version, so none is missed.
    result = modelkit(*host, "-v")
    assert (result.code, result.err) == (0, "")


@pytest.mark.parametrize(("number", "name"), [(83, "a/b/c/d"), (83, "")])
def test_a_model_needs_a_name(modelkit: Modelkit, number: int, name: str) -> None:
    assert "invalid model name" in modelkit.fails(2, "create", name)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A GGUF in half precision."""
    path = tmp_path_factory.mktemp("weights") / "f16.gguf"
    with path.open("wb") as out:
        write_tiny_model(out)
    return path


def test_85_types_are_known_in_any_case(modelkit: Modelkit, weights: Path, tmp_path: Path) -> None:
    small = tmp_path / "small.gguf"
    assert modelkit("quantize", weights, small, "q4_k_m").code == 0
    # A difference: every type that needs no importance matrix is there.
    assert modelkit("quantize", weights, tmp_path / "other.gguf", "Q5_K_M").code == 0
    line = modelkit.fails(1, "quantize", small, tmp_path / "again.gguf", "Q4_0")
    assert "quantization is only supported for F16, BF16 and F32 models" in line
    modelkit.fails(2, "quantize", weights, tmp_path / "none.gguf", "Q9_9")
