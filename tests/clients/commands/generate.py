"""Answers to a prompt: /api/generate."""

import re

from tests.clients.pasted import Pasted, contents, positive
from tests.clients.shared import PARIS

GENERATE = [
    Pasted(
        "a prompt, streamed",
        """curl http://localhost:11434/api/generate -d '{
          "model": "tinychat",
          "prompt": "What is the capital of France?"
        }'""",
        {
            "response": PARIS,
            "done_reason": "stop",
            "context": lambda tokens: positive(len(tokens)),
            "eval_count": positive,
            "eval_duration": positive,
            "prompt_eval_count": positive,
        },
        "lines",
    ),
    Pasted(
        "a prompt, in one piece",
        """curl http://localhost:11434/api/generate -d '{
          "model": "tinychat", "prompt": "What is the opposite of hot?", "stream": false
        }'""",
        {"response": "The opposite of hot is cold.", "done": True, "total_duration": positive},
    ),
    Pasted(
        "an apostrophe in the shell",
        """curl http://localhost:11434/api/generate -d '{
          "model": "tinychat", "prompt": "What'\\''s the capital of France?", "stream": false
        }'""",
        {"response": re.compile("Paris")},
    ),
    Pasted(
        "a gap in code",
        r"""curl http://localhost:11434/api/generate -d '{
          "model": "tinychat",
          "prompt": "def add(a, b):\n    return ",
          "suffix": "\n",
          "options": { "temperature": 0 },
          "stream": false
        }'""",
        {"response": "a + b", "done_reason": "stop"},
    ),
    Pasted(
        "JSON after a schema",
        """curl -X POST http://localhost:11434/api/generate \\
          -H "Content-Type: application/json" -d '{
          "model": "tinychat",
          "prompt": "Ada is 22 years old. Answer as JSON with the keys name and age.",
          "stream": false,
          "think": false,
          "format": {
            "type": "object",
            "properties": { "name": { "type": "string" }, "age": { "type": "integer" } },
            "required": ["name", "age"]
          }
        }'""",
        {"response": contents({"name": "Ada", "age": 22})},
    ),
    Pasted(
        "JSON of any shape",
        """curl http://localhost:11434/api/generate -d '{
          "model": "tinychat",
          "prompt": "What is the capital of France? Answer as JSON.",
          "format": "json",
          "stream": false
        }'""",
        {"response": contents({"answer": PARIS})},
    ),
    Pasted(
        "a prompt that no template touches",
        r"""curl http://localhost:11434/api/generate -d '{
          "model": "tinychat",
          "prompt": "<|im_start|>user\nWhat is your name?<|im_end|>\n<|im_start|>assistant\n",
          "raw": true,
          "stream": false
        }'""",
        {"response": re.compile("^My name is "), "context": None},
    ),
    Pasted(
        "the same again for a seed",
        """for time in 1 2; do
          curl http://localhost:11434/api/generate -o "$time.json" -d '{
            "model": "tinychat",
            "prompt": "Hello!",
            "stream": false,
            "options": { "seed": 123, "temperature": 2, "num_predict": 12 }
          }' 2>status
        done
        cat status >&2
        grep -ho '"response":"[^"]*"' 1.json 2.json | uniq | wc -l""",
        {"": re.compile(r"^\s*1\s*$")},
        "text",
    ),
    Pasted(
        "every option",
        """curl http://localhost:11434/api/generate -d '{
          "model": "tinychat",
          "prompt": "What is the capital of France?",
          "stream": false,
          "options": {
            "num_keep": 5, "seed": 42, "num_predict": 100, "top_k": 1, "top_p": 0.9, "min_p": 0.0,
            "typical_p": 0.7, "repeat_last_n": 33, "temperature": 0.8, "repeat_penalty": 1.0,
            "presence_penalty": 0.0, "frequency_penalty": 0.0, "penalize_newline": true,
            "stop": [" Paris"], "numa": false, "num_ctx": 1024, "num_batch": 2, "num_gpu": 1,
            "main_gpu": 0, "use_mmap": true, "num_thread": 2
          }
        }'""",
        {"response": "The capital of France is", "done_reason": "stop"},
    ),
    Pasted(
        "a thought before the answer",
        """curl http://localhost:11434/api/generate -d '{
          "model": "tinychat", "prompt": "What is 27 + 48?", "think": true, "stream": false
        }'""",
        {"thinking": re.compile(r"7 \+ 8 = 15"), "response": re.compile("75")},
    ),
    Pasted(
        "no prompt loads the model",
        """curl http://localhost:11434/api/generate -d '{"model": "tinychat", "keep_alive": -1}'""",
        {"response": "", "done": True, "done_reason": "load"},
    ),
    Pasted(
        "a lifetime of nothing unloads the model",
        """curl http://localhost:11434/api/generate -d '{"model": "tinychat", "keep_alive": 0}'""",
        {"response": "", "done": True, "done_reason": "unload"},
    ),
    Pasted(
        "a model that is not there",
        """curl http://localhost:11434/api/generate -d '{"model": "nobody", "prompt": "Hello!"}'""",
        {"error": "model 'nobody' not found"},
        status=404,
    ),
]
