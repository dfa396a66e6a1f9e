"""The two contenders: how each is started, and how the same request is spelt for it."""

import asyncio
import json
import sys
import urllib.request
from dataclasses import dataclass, field
from typing import Any

from bench.engine.client import Answer, post
from bench.engine.models import BenchModel
from bench.engine.peer import llama_server
from bench.engine.server import Server, free_port

PEER, OURS = "llama-server", "modelkit"


@dataclass(frozen=True)
class Prompt:
    """One request; `options` are ours alone, for what the peer has on by default or not at all."""

    text: str
    tokens: int
    temperature: float = 0.0
    seed: int = 1
    schema: dict[str, Any] | None = None
    stop_at_end: bool = False
    options: dict[str, Any] = field(default_factory=dict)


class Contender:
    """A running server and the model it has."""

    def __init__(self, name: str, server: Server, model: BenchModel) -> None:
        self.name = name
        self.server = server
        self.model = model

    async def generate(self, prompt: Prompt) -> Answer:
        """Stream one answer; raises RuntimeError when it is shorter than another's would be."""
        if self.name == PEER:
            answer = await post(self.server.port, "/completion", self._for_peer(prompt))
            answer.tokens = answer.last["tokens_predicted"]
        else:
            answer = await post(self.server.port, "/api/generate", self._for_us(prompt))
            answer.tokens = answer.last["eval_count"]
        if not prompt.stop_at_end and answer.tokens != prompt.tokens:
            raise RuntimeError(f"{self.name} wrote {answer.tokens} tokens, not {prompt.tokens}")
        return answer

    async def get(self, path: str) -> Any:
        """The JSON at a path."""
        url = f"http://127.0.0.1:{self.server.port}{path}"
        with await asyncio.to_thread(urllib.request.urlopen, url) as reply:
            return json.load(reply)

    async def embed(self, texts: list[str]) -> None:
        """Embed the texts with one request."""
        if self.name == PEER:
            await post(self.server.port, "/embedding", {"content": texts})
        else:
            body = {"model": self.model.name, "input": texts}
            await post(self.server.port, "/api/embed", body)

    def _for_peer(self, prompt: Prompt) -> dict[str, Any]:
        sampling = {"temperature": prompt.temperature, "top_k": 40, "top_p": 1.0, "min_p": 0.0}
        schema = {} if prompt.schema is None else {"json_schema": prompt.schema}
        return {
            "prompt": prompt.text,
            "n_predict": prompt.tokens,
            "stream": True,
            "seed": prompt.seed,
            "samplers": ["top_k", "top_p", "temperature"],
            "ignore_eos": not prompt.stop_at_end,
            **sampling,
            **schema,
        }

    def _for_us(self, prompt: Prompt) -> dict[str, Any]:
        bias = {} if prompt.stop_at_end else {str(token): -1e9 for token in self.model.ends}
        options = {
            "num_predict": prompt.tokens,
            "temperature": prompt.temperature,
            "top_p": 1.0,
            "seed": prompt.seed,
            **({"logit_bias": bias, "stop": []} if bias else {}),
            **prompt.options,
        }
        schema = {} if prompt.schema is None else {"format": prompt.schema}
        return {
            "model": self.model.name,
            "prompt": prompt.text,
            "raw": True,
            "options": options,
            **schema,
        }


def start_peer(
    model: BenchModel, *, parallel: int, context: int, flags: tuple[str, ...] = ()
) -> Contender:
    """llama-server with the model."""
    server = llama_server(model.gguf, parallel=parallel, context=context, flags=flags)
    return Contender(PEER, server, model)


def start_ours(model: BenchModel, *, parallel: int, context: int, **environment: str) -> Contender:
    """`modelkit serve` over the model's store; the model is loaded by its first request."""
    port = free_port()
    settings = {
        "MODELKIT_HOST": f"127.0.0.1:{port}",
        "MODELKIT_MODELS": str(model.store),
        "MODELKIT_NUM_PARALLEL": str(parallel),
        "MODELKIT_CONTEXT_LENGTH": str(context),
        "MODELKIT_KEEP_ALIVE": "-1",
        **environment,
    }
    command = (sys.executable, "-m", "modelkit", "serve")
    server = Server.start(OURS, command, port, ready="/api/version", environment=settings)
    return Contender(OURS, server, model)
