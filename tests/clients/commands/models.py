"""What a server has: models made, uploaded, shown, copied, sent and removed."""

import re

from tests.clients.pasted import Pasted, positive

_DIGEST = '"sha256:$(sha256sum tiny.gguf | cut -d " " -f 1)"'
_SUCCESS: dict[str, object] = {"status": "success"}

MODELS = [
    Pasted(
        "the version",
        "curl http://localhost:11434/api/version",
        {"version": re.compile(r"^\d+\.\d+")},
    ),
    Pasted(
        "the list of models",
        "curl http://localhost:11434/api/tags",
        {
            "models.*.name": lambda names: _among(names, "tinychat:latest", "all-minilm:latest"),
            "models.0.details.format": "gguf",
            "models.0.size": positive,
        },
    ),
    Pasted(
        "a model shown",
        """curl http://localhost:11434/api/show -d '{ "model": "tinychat" }'""",
        {
            "details.family": "llama",
            "capabilities": ["completion", "tools", "insert", "thinking"],
            "system": re.compile("You are Tinychat"),
            "template": re.compile(r"\.Messages"),
            "parameters": re.compile("temperature +0"),
            "modelfile": re.compile("^FROM ", re.MULTILINE),
            "license": re.compile("Apache"),
            "model_info": lambda info: positive(info["llama.context_length"]),
        },
    ),
    Pasted(
        "a model shown with its tokens",
        """curl http://localhost:11434/api/show -d '{ "model": "tinychat", "verbose": true }'""",
        {"model_info": lambda info: positive(len(info["tokenizer.ggml.tokens"]))},
    ),
    Pasted(
        "the models in memory",
        """curl http://localhost:11434/api/generate -d '{"model": "tinychat"}' >/dev/null 2>&1
        curl http://localhost:11434/api/ps""",
        {
            "models.*.name": lambda names: _among(names, "tinychat:latest"),
            "models.0.expires_at": re.compile(r"^\d{4}-\d\d-\d\dT"),
            "models.0.size": positive,
        },
    ),
]

# Of these lists each command needs what the one before it left.
MADE = [
    Pasted(
        "a model made from another",
        """curl http://localhost:11434/api/create -d '{
          "model": "rover", "from": "tinychat", "system": "You are Rover."
        }'""",
        _SUCCESS,
        "lines",
    ),
    Pasted(
        "the new model speaks for itself",
        """curl http://localhost:11434/api/chat -d '{
          "model": "rover",
          "messages": [{ "role": "user", "content": "What is your name?" }],
          "stream": false
        }'""",
        {"message.content": re.compile("Rover")},
    ),
    Pasted(
        "a model made smaller",
        """curl http://localhost:11434/api/create -d '{
          "model": "tinychat:small", "from": "tinychat", "quantize": "q8_0"
        }'""",
        _SUCCESS,
        "lines",
    ),
    Pasted(
        "the smaller model says so",
        """curl http://localhost:11434/api/show -d '{ "model": "tinychat:small" }'""",
        {"details.quantization_level": "Q8_0"},
    ),
]

UPLOADED = [
    Pasted(
        "a blob that is not there yet",
        f"curl -I http://localhost:11434/api/blobs/{_DIGEST}",
        {"": re.compile(r"^HTTP/1\.1 404 ")},
        "text",
        404,
    ),
    Pasted(
        "a blob uploaded under a wrong digest",
        "curl -T tiny.gguf -X POST "
        "http://localhost:11434/api/blobs/"
        "sha256:29fdb92e57cf0827ded04ae6461b5931d01fa595843f55d36f5b275a52087dd2",
        {"error": re.compile("digest")},
        status=400,
    ),
    Pasted(
        "a blob uploaded",
        f"curl -T tiny.gguf -X POST http://localhost:11434/api/blobs/{_DIGEST}",
        {"": ""},
        "text",
        201,
    ),
    Pasted(
        "a blob that is there",
        f"curl -I http://localhost:11434/api/blobs/{_DIGEST}",
        {"": re.compile(r"^HTTP/1\.1 200 ")},
        "text",
    ),
    Pasted(
        "a model made from an uploaded file",
        """curl http://localhost:11434/api/create -d '{
          "model": "uploaded",
          "files": { "tiny.gguf": "sha256:'$(sha256sum tiny.gguf | cut -d " " -f 1)'" },
          "stream": false
        }'""",
        _SUCCESS,
    ),
    Pasted(
        "the uploaded model answers",
        """curl http://localhost:11434/api/generate -d '{
          "model": "uploaded", "prompt": "Why?", "stream": false, "options": { "num_predict": 3 }
        }'""",
        {"eval_count": 3, "done_reason": "length"},
    ),
]

SENT = [
    Pasted(
        "a model under a second name",
        """curl http://localhost:11434/api/copy -d '{
          "source": "tinychat", "destination": "localhost:5000/lab/tinychat"
        }'""",
        {"": ""},
        "text",
    ),
    Pasted(
        "a model pushed",
        """curl http://localhost:11434/api/push -d '{
          "model": "localhost:5000/lab/tinychat", "insecure": true
        }'""",
        _SUCCESS,
        "lines",
    ),
    Pasted(
        "a model removed",
        """curl -X DELETE http://localhost:11434/api/delete -d '{
          "model": "localhost:5000/lab/tinychat"
        }'""",
        {"": ""},
        "text",
    ),
    Pasted(
        "what is removed is gone",
        """curl http://localhost:11434/api/show -d '{ "model": "localhost:5000/lab/tinychat" }'""",
        {"error": re.compile("not found")},
        status=404,
    ),
    Pasted(
        "a model pulled",
        """curl http://localhost:11434/api/pull -d '{
          "model": "localhost:5000/lab/tinychat", "insecure": true
        }'""",
        _SUCCESS,
        "lines",
    ),
    Pasted(
        "a model pulled again, in one piece",
        """curl http://localhost:11434/api/pull -d '{
          "model": "localhost:5000/lab/tinychat", "insecure": true, "stream": false
        }'""",
        _SUCCESS,
    ),
    Pasted(
        "the pulled model is what was pushed",
        """curl http://localhost:11434/api/show -d '{ "model": "localhost:5000/lab/tinychat" }'""",
        {"system": re.compile("You are Tinychat")},
    ),
    Pasted(
        "what no registry has",
        """curl http://localhost:11434/api/pull -d '{
          "model": "localhost:5000/lab/nobody", "insecure": true, "stream": false
        }'""",
        {"error": re.compile("file does not exist")},
        status=500,
    ),
]


def _among(names: list[str], *wanted: str) -> None:
    assert set(wanted) <= set(names)
