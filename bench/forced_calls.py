"""Are calls of tools that must be made always whole and valid? Random weights, hot sampling.

Usage: python -m bench.forced_calls [--tries 500]

Every other try names the tool, one in 25 may have several calls, and the models write these in
four forms. Exits with 1 when an answer is anything else than calls of the offered tools, valid by
the jsonschema package.
"""

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path
from typing import Any

import jsonschema

from bench.helpers.random_llama import Shape, write_model
from modelkit.compiler.build import build
from modelkit.compiler.recipe import Recipe
from modelkit.names import ModelName
from modelkit.serve.app import create_app
from modelkit.serve.scheduling.scheduler import Scheduler
from modelkit.store import Store

_SHAPE = Shape(width=64, feed=128, layers=2, heads=4, kv_heads=2, vocabulary=1000)
_STREAMS = 8
_TEXT = {"type": "string", "maxLength": 12}
_SCHEMAS: dict[str, dict[str, Any]] = {
    "book_table": {
        "type": "object",
        "properties": {
            "restaurant": _TEXT,
            "guests": {"type": "integer", "minimum": 1, "maximum": 12},
            "seats": {"type": "array", "items": {"enum": ["inside", "outside"]}, "maxItems": 3},
            "day": {"type": "string", "format": "date"},
        },
        "required": ["restaurant", "guests", "day"],
    },
    "convert": {
        "type": "object",
        "properties": {
            "amount": {"type": "integer", "minimum": 0, "maximum": 10000},
            "unit": {"$ref": "#/$defs/unit"},
            "note": {"anyOf": [_TEXT, {"type": "null"}]},
        },
        "required": ["amount", "unit"],
        "$defs": {"unit": {"type": "string", "enum": ["m", "ft"]}},
    },
    "stop": {"type": "object", "properties": {}},
}
_TOOLS = [
    {"type": "function", "function": {"name": name, "description": name, "parameters": schema}}
    for name, schema in _SCHEMAS.items()
]
_MESSAGES = "{{ range .Messages }}{{ .Content }} {{ end }}{{ range .Tools }}{{ . }}{{ end }}"
_LOOP = "{{ range .Messages }}{{ if .ToolCalls }}%s{{ end }}{{ end }}" + _MESSAGES
_HERMES = _LOOP % '<tool_call>\n{"name": "</tool_call>'
# By model: its template, and the parser that it names.
_FORMS = {
    "hermes": (_HERMES, None),
    "llama": (_LOOP % '{"name": "", "parameters": {{ .ToolCalls }}', None),
    "mistral": (_LOOP % '[TOOL_CALLS] [{"name": ""', None),
    "coder": (_HERMES, "qwen3-coder"),
}


def _models(folder: Path) -> Store:
    """One model for each form of calls, all with the same random weights."""
    store = Store(folder / "models")
    path = write_model(folder / "random.gguf", _SHAPE)
    for name, (template, parser) in _FORMS.items():
        recipe = Recipe(files={path.name: path}, template=template, parser=parser)
        build(recipe, ModelName.parse(name), store)
    return store


def _valid(message: dict[str, Any], names: set[str]) -> bool:
    """Is the message nothing but calls of these tools, all of them obeying?"""
    calls = [call["function"] for call in message.get("tool_calls", [])]
    return bool(calls) and not message["content"] and all(_obeys(call, names) for call in calls)


def _obeys(call: dict[str, Any], names: set[str]) -> bool:
    if call["name"] not in names:
        return False
    checker = jsonschema.Draft202012Validator(_SCHEMAS[call["name"]])
    return bool(checker.is_valid(call["arguments"]))


def _body(turn: int, model: str) -> dict[str, Any]:
    """One try; every other one names the tool."""
    name = list(_SCHEMAS)[turn % len(_SCHEMAS)]
    return {
        "model": model,
        "messages": [{"role": "user", "content": f"Try {turn}"}],
        "tools": _TOOLS,
        "tool_choice": {"type": "function", "function": {"name": name}} if turn % 2 else "required",
        "parallel_tool_calls": turn % 50 < 2,
        "stream": False,
        "options": {"temperature": 1.5, "seed": turn, "num_ctx": 8192, "num_predict": 4000},
    }


async def count(store: Store, tries: int) -> tuple[int, int]:
    """How many answers are valid, and how many calls they have together."""
    scheduler = Scheduler()
    client = create_app(store, scheduler=scheduler).test_client()
    models, turns = list(_FORMS), iter(range(tries))
    valid = calls = 0

    async def stream() -> None:
        nonlocal valid, calls
        for turn in turns:
            body = _body(turn, models[turn * len(models) // tries])
            choice = body["tool_choice"]
            names = set(_SCHEMAS) if choice == "required" else {choice["function"]["name"]}
            answer = await (await client.post("/api/chat", json=body)).get_json()
            message = answer.get("message", {"content": answer})
            calls += len(message.get("tool_calls", []))
            if _valid(message, names):
                valid += 1
            else:
                print(body["model"], turn, answer, file=sys.stderr)

    await asyncio.gather(*(stream() for _ in range(_STREAMS)))
    await scheduler.close()
    return valid, calls


def main() -> int:
    """Ask, count and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tries", type=int, default=500)
    tries = parser.parse_args().tries
    with tempfile.TemporaryDirectory() as folder:
        valid, calls = asyncio.run(count(_models(Path(folder)), tries))
    print(f"{valid} of {tries} forced answers are whole and valid, with {calls} calls")
    return int(valid < tries)


if __name__ == "__main__":
    sys.exit(main())
