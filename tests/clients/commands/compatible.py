"""OpenAI's and Anthropic's APIs: /v1/…"""

import json
import re
from typing import Any

from tests.clients.pasted import Pasted, contents, embedded, positive
from tests.clients.shared import PARIS

_OSLO = {"city": "Oslo"}


def _weather(arguments: str) -> None:
    assert json.loads(arguments) == _OSLO


def _models(found: list[str]) -> None:
    assert {"tinychat", "all-minilm"} <= {name.removesuffix(":latest") for name in found}


def _in_order(types: list[Any]) -> None:
    """The blocks of a streamed message open, grow and close."""
    assert types[0] == "message_start"
    assert types[-2:] == ["message_delta", "message_stop"]
    assert types.count("content_block_delta") > 2


COMPATIBLE = [
    Pasted(
        "chat completion",
        """curl http://localhost:11434/v1/chat/completions \\
          -H "Content-Type: application/json" \\
          -H "Authorization: Bearer ollama" \\
          -d '{
            "model": "tinychat",
            "messages": [
              { "role": "system", "content": "You are Rover." },
              { "role": "user", "content": [{ "type": "text", "text": "What'\\''s your name?" }] }
            ],
            "max_tokens": 300
          }'""",
        {
            "object": "chat.completion",
            "choices.0.message.role": "assistant",
            "choices.0.message.content": re.compile("Rover"),
            "choices.0.finish_reason": "stop",
            "usage.completion_tokens": positive,
        },
    ),
    Pasted(
        "chat completion, streamed",
        """curl http://localhost:11434/v1/chat/completions \\
          -H "Content-Type: application/json" \\
          -d '{
            "model": "tinychat",
            "messages": [{ "role": "user", "content": "What is the capital of France?" }],
            "stream": true
          }'""",
        {
            "choices.0.delta.content": PARIS,
            "choices.0.finish_reason": "stop",
            "end": "[DONE]",
        },
        "events",
    ),
    Pasted(
        "chat completion with a tool",
        """curl http://localhost:11434/v1/chat/completions \\
          -H "Content-Type: application/json" \\
          -d '{
            "model": "tinychat",
            "messages": [{ "role": "user", "content": "What is the weather in Oslo?" }],
            "tools": [{
              "type": "function",
              "function": {
                "name": "get_weather",
                "description": "Get the weather in a city",
                "parameters": {
                  "type": "object",
                  "properties": { "city": { "type": "string", "description": "The city" } },
                  "required": ["city"]
                }
              }
            }]
          }'""",
        {
            "choices.0.finish_reason": "tool_calls",
            "choices.0.message.tool_calls.0.function.name": "get_weather",
            "choices.0.message.tool_calls.0.function.arguments": _weather,
        },
    ),
    Pasted(
        "chat completion after a schema",
        """curl http://localhost:11434/v1/chat/completions \\
          -H "Content-Type: application/json" \\
          -d '{
            "model": "tinychat",
            "reasoning_effort": "none",
            "messages": [
              {
                "role": "user",
                "content": "Ada is 22 years old. Answer as JSON with the keys name and age."
              }
            ],
            "response_format": {
              "type": "json_schema",
              "json_schema": {
                "name": "person",
                "schema": {
                  "type": "object",
                  "properties": { "name": { "type": "string" }, "age": { "type": "integer" } },
                  "required": ["name", "age"]
                }
              }
            }
          }'""",
        {"choices.0.message.content": contents({"name": "Ada", "age": 22})},
    ),
    Pasted(
        "completion",
        r"""curl http://localhost:11434/v1/completions \
          -H "Content-Type: application/json" \
          -d '{ "model": "tinychat", "prompt": "def add(a, b):\n    return ", "suffix": "\n" }'""",
        {"object": "text_completion", "choices.0.text": "a + b", "usage.total_tokens": positive},
    ),
    Pasted(
        "models",
        "curl http://localhost:11434/v1/models",
        {"object": "list", "data.*.id": _models},
    ),
    Pasted(
        "one model",
        "curl http://localhost:11434/v1/models/tinychat",
        {"object": "model", "id": re.compile("^tinychat"), "created": positive},
    ),
    Pasted(
        "embeddings",
        """curl http://localhost:11434/v1/embeddings \\
          -H "Content-Type: application/json" \\
          -d '{
            "model": "all-minilm",
            "input": ["A dog runs.", "The dog is running.", "Interest rates rose."]
          }'""",
        {"data.*.embedding": embedded, "data.*.index": [0, 1, 2], "usage.prompt_tokens": positive},
    ),
    Pasted(
        "response",
        """curl http://localhost:11434/v1/responses \\
          -H "Content-Type: application/json" \\
          -d '{ "model": "tinychat", "input": "What is the capital of France?" }'""",
        {
            "object": "response",
            "status": "completed",
            "output.0.content.0.text": PARIS,
            "usage.output_tokens": positive,
        },
    ),
    Pasted(
        "response, streamed",
        """curl http://localhost:11434/v1/responses \\
          -H "Content-Type: application/json" \\
          -d '{
            "model": "tinychat", "input": "What is the capital of France?", "stream": true
          }'""",
        {"delta": PARIS, "response.status": "completed", "type": "response.completed"},
        "events",
    ),
    Pasted(
        "message",
        """curl http://localhost:11434/v1/messages \\
          -H "Content-Type: application/json" \\
          -H "x-api-key: ollama" \\
          -H "anthropic-version: 2023-06-01" \\
          -d '{
            "model": "tinychat",
            "max_tokens": 1024,
            "messages": [{ "role": "user", "content": "What is the capital of France?" }]
          }'""",
        {
            "type": "message",
            "role": "assistant",
            "content.0": {"type": "text", "text": PARIS},
            "stop_reason": "end_turn",
            "usage.output_tokens": positive,
        },
    ),
    Pasted(
        "message, streamed",
        """curl http://localhost:11434/v1/messages \\
          -H "Content-Type: application/json" \\
          -d '{
            "model": "tinychat",
            "max_tokens": 1024,
            "stream": true,
            "messages": [{ "role": "user", "content": "What is the capital of France?" }]
          }'""",
        {
            "types": _in_order,
            "delta.text": PARIS,
            "delta.stop_reason": "end_turn",
        },
        "events",
    ),
    Pasted(
        "message with a tool",
        """curl http://localhost:11434/v1/messages \\
          -H "Content-Type: application/json" \\
          -d '{
            "model": "tinychat",
            "max_tokens": 1024,
            "tools": [{
              "name": "get_weather",
              "description": "Get the weather in a city",
              "input_schema": {
                "type": "object",
                "properties": { "city": { "type": "string", "description": "The city" } },
                "required": ["city"]
              }
            }],
            "messages": [{ "role": "user", "content": "What is the weather in Oslo?" }]
          }'""",
        {
            "stop_reason": "tool_use",
            "content.*.type": ["tool_use"],
            "content.0.name": "get_weather",
            "content.0.input": _OSLO,
        },
    ),
]
