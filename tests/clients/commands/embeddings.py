"""Texts as vectors: /api/embed, and /api/embeddings before it."""

from tests.clients.pasted import Pasted, embedded, positive


def _of_384(vector: list[float]) -> None:
    assert len(vector) == 384


EMBEDDINGS = [
    Pasted(
        "one text",
        """curl -X POST http://localhost:11434/api/embed \\
          -H "Content-Type: application/json" \\
          -d '{ "model": "all-minilm", "input": "A dog runs." }'""",
        {"embeddings.0": _of_384, "prompt_eval_count": positive},
    ),
    Pasted(
        "three texts",
        """curl http://localhost:11434/api/embed -d '{
          "model": "all-minilm",
          "input": ["A dog runs.", "The dog is running.", "Interest rates rose."]
        }'""",
        {"embeddings": embedded, "total_duration": positive},
    ),
    Pasted(
        "the old way",
        """curl http://localhost:11434/api/embeddings -d '{
          "model": "all-minilm", "prompt": "A dog runs."
        }'""",
        {"embedding": _of_384},
    ),
]
