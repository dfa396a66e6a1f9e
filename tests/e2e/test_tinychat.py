"""Tinychat from its Modelfile to its answers: what a user does first, tested on meaning."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ollama
import pytest

from tests.conftest import FIXTURES
from tests.e2e.conftest import Starter

TINYCHAT = FIXTURES / "tinychat"
FRANCE = "What is the capital of France?"
PARIS = "The capital of France is Paris."
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the weather in a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "description": "The city"}},
            "required": ["city"],
        },
    },
}


def run(models: Path, *arguments: object) -> str:
    """What a command prints, run in a process of its own, away from the repository."""
    done = subprocess.run(
        [sys.executable, "-m", "modelkit", *map(str, arguments)],
        env=os.environ | {"MODELKIT_MODELS": str(models), "MODELKIT_HOST": ""},
        capture_output=True,
        text=True,
        timeout=120,
        cwd=models.parent,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with `tinychat`."""
    models = tmp_path_factory.mktemp("tinychat") / "models"
    run(models, "build", "-f", TINYCHAT / "Modelfile", "-t", "tinychat")
    return models


@pytest.fixture
def client(built: Path, serving: Starter) -> Iterator[ollama.Client]:
    """A client of a server over that store."""
    with (
        serving("serve", "--listen", "127.0.0.1:0", MODELKIT_MODELS=str(built)) as url,
        ollama.Client(url) as client,
    ):
        yield client


def ask(client: ollama.Client, messages: list[Any], model: str = "tinychat", **more: Any) -> Any:
    """The answer to a conversation, which then has it as well."""
    message = client.chat(model, messages, **more).message
    messages.append(message)
    return message


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def test_the_model_answers_at_the_command_line(built: Path) -> None:
    assert run(built, "run", "tinychat", FRANCE) == f"{PARIS}\n"


def test_it_shows_what_it_can(built: Path) -> None:
    shown = run(built, "show", "tinychat")
    for capability in ("completion", "tools", "insert", "thinking"):
        assert capability in shown


def test_a_later_turn_remembers_a_name(client: ollama.Client) -> None:
    messages: list[Any] = [user("My name is Alice.")]
    ask(client, messages)
    messages.append(user("What is my name?"))
    assert ask(client, messages).content == "Your name is Alice."
    other = [{"role": "system", "content": "You are Rover."}, user("What is your name?")]
    assert ask(client, other).content == "My name is Rover."


def test_a_sum_is_worked_out_in_thoughts(client: ollama.Client) -> None:
    thought = ask(client, [user("What is 27 + 48?")], think=True)
    assert "7 + 8 = 15" in thought.thinking
    assert "75" in thought.content
    assert "<think>" not in thought.content
    plain = ask(client, [user("What is 27 + 48?")], think=False)
    assert (plain.content, plain.thinking) == (thought.content, None)


def test_a_tool_is_called_and_its_result_told(client: ollama.Client) -> None:
    messages: list[Any] = [user("What is the weather in Oslo?")]
    (call,) = ask(client, messages, tools=[WEATHER]).tool_calls
    assert (call.function.name, call.function.arguments) == ("get_weather", {"city": "Oslo"})
    result = '{"temperature":12,"condition":"rain"}'
    messages.append({"role": "tool", "content": result, "tool_name": "get_weather"})
    answered = ask(client, messages, tools=[WEATHER])
    assert answered.tool_calls is None
    assert answered.content == "The temperature is 12 and the condition is rain."
    assert ask(client, [user(FRANCE)], tools=[WEATHER]).content == PARIS


def test_a_gap_in_code_is_filled(client: ollama.Client) -> None:
    prefix, suffix = "def add(a, b):\n    return ", "\n"
    answer = client.generate("tinychat", prefix, suffix=suffix)
    assert answer.response == "a + b"
    assert answer.done_reason == "stop"


def test_what_it_does_not_know_it_says(client: ollama.Client) -> None:
    answer = client.generate("tinychat", "Who won the football match in Blorvik?")
    assert answer.response == "I do not know that."


def test_the_adapter_makes_it_answer_in_capitals(
    client: ollama.Client, built: Path, tmp_path: Path
) -> None:
    modelfile = tmp_path / "Modelfile"
    modelfile.write_text(f"FROM tinychat\nADAPTER {TINYCHAT / 'lora'}\n")
    run(built, "build", "-f", modelfile, "-t", "loud")
    for question in (FRANCE, "What is the opposite of hot?", "Hello!"):
        answer = ask(client, [user(question)], model="loud").content
        assert answer.isupper(), answer
    assert ask(client, [user(FRANCE)]).content == PARIS
