"""Real models that say what they are told to: the next token depends on the last one alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import gguf
import numpy as np

from modelkit.compiler.build import build
from modelkit.compiler.recipe import Recipe
from modelkit.names import ModelName
from modelkit.store import Store

_BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
_SPACE = "▁"
_END = 2
_HEAD = 32


def add_script(
    store: Store,
    folder: Path,
    name: str,
    scripts: Mapping[str, Sequence[str]],
    template: str,
    jinja: str | None = None,
    parser: str | None = None,
) -> None:
    """Store a model that writes `scripts[mark]` after a prompt ending with `mark`.

    After any other prompt it writes the first script. A text may be in the scripts only once; an
    empty `template` leaves the prompts to `jinja`.
    """
    path = write_script(folder / f"{name}.gguf", scripts, jinja)
    recipe = Recipe(
        files={path.name: path},
        template=template or None,
        parser=parser,
        parameters={"temperature": 0.0},
    )
    build(recipe, ModelName.parse(name), store)


def write_script(
    path: Path, scripts: Mapping[str, Sequence[str]], jinja: str | None = None
) -> Path:
    """The model as a GGUF: one llama layer that does nothing between embedding and output."""
    words = [word for mark, script in scripts.items() for word in (mark, *script)]
    assert len(set(words)) == len(words), "a text may be in the scripts only once"
    tokens = ["<unk>", "<s>", "</s>", *_BYTES, _SPACE, *words]
    numbers = {word: number for number, word in enumerate(tokens)}
    embd = -(-len(tokens) // _HEAD) * _HEAD
    first = numbers[next(iter(scripts.values()))[0]]
    follows = np.full(len(tokens), first)
    for mark, script in scripts.items():
        for word, after in pairwise([mark, *script]):
            follows[numbers[word]] = numbers[after]
        follows[numbers[script[-1]]] = _END
    writer = gguf.GGUFWriter(path, "llama")
    _describe(writer, embd, jinja)
    _add_vocabulary(writer, tokens, len(words))
    embedding = np.eye(len(tokens), embd, dtype=np.float32)
    output = np.zeros((len(tokens), embd), np.float32)
    output[follows, np.arange(len(tokens))] = 10.0
    _add_tensors(writer, embd, embedding, output)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _describe(writer: gguf.GGUFWriter, embd: int, jinja: str | None) -> None:
    writer.add_context_length(2048)
    writer.add_embedding_length(embd)
    writer.add_block_count(1)
    writer.add_feed_forward_length(_HEAD)
    writer.add_head_count(embd // _HEAD)
    writer.add_head_count_kv(1)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(_HEAD)
    if jinja is not None:
        writer.add_chat_template(jinja)


def _add_vocabulary(writer: gguf.GGUFWriter, tokens: list[str], words: int) -> None:
    kinds = gguf.TokenType
    special = [kinds.UNKNOWN, kinds.CONTROL, kinds.CONTROL]
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores([0.0] * len(tokens))
    types = [*special, *[kinds.BYTE] * 256, kinds.NORMAL, *[kinds.USER_DEFINED] * words]
    writer.add_token_types(types)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(_END)
    writer.add_unk_token_id(0)
    writer.add_add_bos_token(True)
    writer.add_add_space_prefix(False)


def _add_tensors(
    writer: gguf.GGUFWriter, embd: int, embedding: np.ndarray, output: np.ndarray
) -> None:
    writer.add_tensor("token_embd.weight", embedding)
    writer.add_tensor("output.weight", output)
    for norm in ("output_norm", "blk.0.attn_norm", "blk.0.ffn_norm"):
        writer.add_tensor(f"{norm}.weight", np.ones(embd, np.float32))
    for name, rows, columns in (
        ("attn_q", embd, embd),
        ("attn_k", _HEAD, embd),
        ("attn_v", _HEAD, embd),
        ("attn_output", embd, embd),
        ("ffn_gate", _HEAD, embd),
        ("ffn_up", _HEAD, embd),
        ("ffn_down", embd, _HEAD),
    ):
        writer.add_tensor(f"blk.0.{name}.weight", np.zeros((rows, columns), np.float32))
