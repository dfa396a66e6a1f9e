"""Answers in a conversation: /api/chat."""

import re

from tests.clients.pasted import Pasted, contents, positive
from tests.clients.shared import PARIS

_TOOLS = """[{
            "type": "function",
            "function": {
              "name": "get_temperature",
              "description": "Get the current temperature for a city",
              "parameters": {
                "type": "object",
                "required": ["city"],
                "properties": {
                  "city": { "type": "string", "description": "The name of the city" }
                }
              }
            }
          }]"""


def _called(*cities: str) -> dict[str, object]:
    """The temperature is asked for in these cities, one call each, in this order."""
    return {
        "message.tool_calls.*.function.name": ["get_temperature"] * len(cities),
        "message.tool_calls.*.function.arguments": [{"city": city} for city in cities],
    }


CHAT = [
    Pasted(
        "a question, streamed",
        """curl http://localhost:11434/api/chat -d '{
          "model": "tinychat",
          "messages": [{ "role": "user", "content": "What is the capital of France?" }]
        }'""",
        {"message.role": "assistant", "message.content": PARIS, "eval_count": positive},
        "lines",
    ),
    Pasted(
        "a question, answered in one piece",
        """curl http://localhost:11434/api/chat -d '{
          "model": "tinychat",
          "messages": [{ "role": "user", "content": "What is the capital of France?" }],
          "stream": false
        }'""",
        {"message": {"role": "assistant", "content": PARIS}, "done": True, "done_reason": "stop"},
    ),
    Pasted(
        "a conversation",
        """curl http://localhost:11434/api/chat -d '{
          "model": "tinychat",
          "messages": [
            { "role": "user", "content": "My name is Alice." },
            { "role": "assistant", "content": "Nice to meet you, Alice!" },
            { "role": "user", "content": "What is my name?" }
          ]
        }'""",
        {"message.content": re.compile("Alice")},
        "lines",
    ),
    Pasted(
        "a word of the system",
        """curl http://localhost:11434/api/chat -d '{
          "model": "tinychat",
          "messages": [
            { "role": "system", "content": "You are Rover." },
            { "role": "user", "content": "What is your name?" }
          ],
          "options": { "seed": 101, "temperature": 0 },
          "stream": false
        }'""",
        {"message.content": re.compile("Rover")},
    ),
    Pasted(
        "JSON after a schema",
        """curl -X POST http://localhost:11434/api/chat -H "Content-Type: application/json" -d '{
          "model": "tinychat",
          "messages": [
            {
              "role": "user",
              "content": "Ada is 22 years old. Answer as JSON with the keys name and age."
            }
          ],
          "stream": false,
          "think": false,
          "format": {
            "type": "object",
            "properties": { "name": { "type": "string" }, "age": { "type": "integer" } },
            "required": ["name", "age"]
          },
          "options": { "temperature": 0 }
        }'""",
        {"message.content": contents({"name": "Ada", "age": 22})},
    ),
    Pasted(
        "a thought, streamed",
        """curl http://localhost:11434/api/chat -d '{
          "model": "tinychat",
          "messages": [{ "role": "user", "content": "What is 27 + 48?" }],
          "think": true
        }'""",
        {"message.thinking": re.compile(r"7 \+ 8 = 15"), "message.content": re.compile("75")},
        "lines",
    ),
    Pasted(
        "a tool is called",
        f"""curl -s http://localhost:11434/api/chat -H "Content-Type: application/json" -d '{{
          "model": "tinychat",
          "messages": [{{ "role": "user", "content": "What'\\''s the temperature in New York?" }}],
          "stream": false,
          "tools": {_TOOLS}
        }}'""",
        {**_called("New York"), "message.content": ""},
    ),
    Pasted(
        "a tool is called twice, streamed",
        f"""curl -s http://localhost:11434/api/chat -H "Content-Type: application/json" -d '{{
          "model": "tinychat",
          "messages": [
            {{ "role": "user", "content": "What is the temperature in Oslo and London?" }}
          ],
          "tools": {_TOOLS}
        }}'""",
        {**_called("Oslo", "London"), "done_reason": "stop"},
        "lines",
    ),
    Pasted(
        "a tool's result is told",
        """curl -s http://localhost:11434/api/chat -H "Content-Type: application/json" -d '{
          "model": "tinychat",
          "messages": [
            { "role": "user", "content": "What is the temperature in New York?" },
            {
              "role": "assistant",
              "tool_calls": [{
                "type": "function",
                "function": {
                  "index": 0, "name": "get_temperature", "arguments": { "city": "New York" }
                }
              }]
            },
            { "role": "tool", "tool_name": "get_temperature", "content": "22" }
          ],
          "stream": false
        }'""",
        {"message.content": re.compile("22"), "message.tool_calls": None},
    ),
    Pasted(
        "no message loads the model",
        """curl http://localhost:11434/api/chat -d '{"model": "tinychat", "messages": []}'""",
        {"message.content": "", "done_reason": "load", "done": True},
    ),
    Pasted(
        "a lifetime of nothing unloads the model",
        """curl http://localhost:11434/api/chat -d '{
          "model": "tinychat", "messages": [], "keep_alive": 0
        }'""",
        {"message.content": "", "done_reason": "unload", "done": True},
    ),
]
