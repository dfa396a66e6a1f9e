"""llama.cpp in a process of its own: logits, embeddings and tokens of a GGUF file.

A crash of the engine then fails one test instead of ending the test run.
"""

import ctypes
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

TIMEOUT = 120  # seconds
Job = Callable[..., Iterator[Any]]


def logits(
    gguf: Path, sequences: list[list[int]], adapter: Path | None = None
) -> list[list[float]]:
    """Logits at every position of every sequence, computed with a float32 cache."""
    return _ask("logits", gguf, sequences, adapter)


def embeddings(gguf: Path, sequences: list[list[int]]) -> list[list[float]]:
    """One pooled vector for each sequence of token ids, of length 1."""
    return _ask("embeddings", gguf, sequences)


def tokens(gguf: Path, texts: list[str]) -> list[list[int]]:
    """Token ids of each text, with the special tokens the model adds."""
    return _ask("tokens", gguf, texts)


def _ask(what: str, gguf: Path, inputs: list[Any], adapter: Path | None = None) -> list[Any]:
    paths = [str(path) for path in (gguf, adapter) if path]
    done = subprocess.run(
        [sys.executable, "-m", __name__, what, *paths],
        input=json.dumps(inputs),
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        cwd=Path(__file__).parents[3],
    )
    assert done.returncode == 0, f"llama.cpp ended with {done.returncode}: {done.stderr[-2000:]}"
    answer: list[Any] = json.loads(done.stdout)
    return answer


@contextmanager
def _model(api: Any, gguf: str, *, vocabulary_only: bool) -> Iterator[Any]:
    api.llama_backend_init()
    params = api.llama_model_default_params()
    params.use_extra_bufts = False  # no repacking, so that float32 stays exact
    params.vocab_only = vocabulary_only
    model = api.llama_model_load_from_file(gguf.encode(), params)
    if not model:
        raise SystemExit(f"llama.cpp cannot load {gguf}")
    yield model
    api.llama_model_free(model)


@contextmanager
def _context(api: Any, model: Any, *, embeddings: bool) -> Iterator[Any]:
    params = api.llama_context_default_params()
    params.n_ctx = params.n_batch = params.n_ubatch = 512
    params.n_threads = params.n_threads_batch = 1
    params.type_k = params.type_v = api.GGML_TYPE_F32
    params.flash_attn_type = api.LLAMA_FLASH_ATTN_TYPE_DISABLED
    params.embeddings = embeddings
    context = api.llama_init_from_model(model, params)
    if not context:
        raise SystemExit("llama.cpp cannot make a context")
    yield context
    api.llama_free(context)


def _evaluate(api: Any, context: Any, ids: list[int]) -> None:
    """Run one sequence from an empty cache, with output at every position."""
    memory = api.llama_get_memory(context)
    if memory:
        api.llama_memory_clear(memory, True)
    batch = api.llama_batch_init(len(ids), 0, 1)
    batch.n_tokens = len(ids)
    for position, number in enumerate(ids):
        batch.token[position] = number
        batch.pos[position] = position
        batch.n_seq_id[position] = 1
        batch.seq_id[position][0] = 0
        batch.logits[position] = True
    if api.llama_decode(context, batch):
        raise SystemExit("llama.cpp cannot evaluate the batch")
    api.llama_batch_free(batch)


def _adapt(api: Any, model: Any, context: Any, adapter: str) -> None:
    """Apply a LoRA adapter, which is freed with the model, at full strength."""
    handle = api.llama_adapter_lora_init(model, adapter.encode())
    if not handle:
        raise SystemExit(f"llama.cpp cannot load {adapter}")
    handles, scales = (type(handle) * 1)(handle), (ctypes.c_float * 1)(1.0)
    if api.llama_set_adapters_lora(context, handles, 1, scales):
        raise SystemExit(f"llama.cpp cannot apply {adapter}")


def _logits(
    api: Any, gguf: str, sequences: list[list[int]], adapter: str = ""
) -> Iterator[list[float]]:
    with (
        _model(api, gguf, vocabulary_only=False) as model,
        _context(api, model, embeddings=False) as context,
    ):
        if adapter:
            _adapt(api, model, context, adapter)
        width = api.llama_vocab_n_tokens(api.llama_model_get_vocab(model))
        for ids in sequences:
            _evaluate(api, context, ids)
            for position in range(len(ids)):
                row = api.llama_get_logits_ith(context, position)
                yield np.ctypeslib.as_array(row, (width,)).tolist()


def _embeddings(api: Any, gguf: str, sequences: list[list[int]]) -> Iterator[list[float]]:
    with (
        _model(api, gguf, vocabulary_only=False) as model,
        _context(api, model, embeddings=True) as context,
    ):
        width = api.llama_model_n_embd(model)
        for ids in sequences:
            _evaluate(api, context, ids)
            vector = np.ctypeslib.as_array(api.llama_get_embeddings_seq(context, 0), (width,))
            yield (vector / np.linalg.norm(vector)).tolist()


def _tokens(api: Any, gguf: str, texts: list[str]) -> Iterator[list[int]]:
    with _model(api, gguf, vocabulary_only=True) as model:
        vocabulary = api.llama_model_get_vocab(model)
        for text in texts:
            raw = text.encode()
            room = (ctypes.c_int32 * (len(raw) + 16))()
            arguments = (vocabulary, raw, len(raw), room, len(room), True, True)
            yield list(room[: api.llama_tokenize(*arguments)])


def main() -> None:
    import llama_cpp.llama_cpp as api

    what, gguf, *adapter = sys.argv[1:]
    jobs: dict[str, Job] = {"logits": _logits, "embeddings": _embeddings, "tokens": _tokens}
    json.dump(list(jobs[what](api, gguf, json.load(sys.stdin), *adapter)), sys.stdout)


if __name__ == "__main__":
    main()
