"""Small GGUF files for the tests, valid ones and the parts to build invalid ones from."""

import io
import struct

from modelkit.gguf import GGUFWriter, TensorPlan
from modelkit.gguf.types import TENSOR_TYPES_BY_NAME, Value, ValueType


def text(value: str) -> bytes:
    raw = value.encode()
    return struct.pack("<Q", len(raw)) + raw


def pair(key: str, kind: ValueType, payload: bytes) -> bytes:
    return text(key) + struct.pack("<I", kind) + payload


def tensor(name: str, shape: tuple[int, ...], kind: int = 0, offset: int = 0) -> bytes:
    return text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, offset)


def header(
    pairs: list[bytes],
    tensors: list[bytes],
    *,
    version: int = 3,
    pair_count: int | None = None,
    tensor_count: int | None = None,
) -> bytes:
    """A header with these parts; the counts may lie."""
    counts = struct.pack(
        "<IQQ",
        version,
        len(tensors) if tensor_count is None else tensor_count,
        len(pairs) if pair_count is None else pair_count,
    )
    return b"GGUF" + counts + b"".join(pairs) + b"".join(tensors)


def padded(data: bytes, alignment: int = 32) -> bytes:
    return data + bytes(-len(data) % alignment)


def valid() -> bytes:
    """A file with every kind of value and three tensors."""
    metadata = {
        "general.architecture": Value.string("llama"),
        "general.alignment": Value.uint32(32),
        "a.bool": Value.boolean(True),
        "a.float": Value.float32(0.5),
        "a.double": Value(ValueType.FLOAT64, 0.1),
        "a.int64": Value(ValueType.INT64, -5),
        "a.byte": Value(ValueType.UINT8, 200),
        "tokens": Value.array(ValueType.STRING, ["a", "", "déjà vu", "▁x"]),
        "scores": Value.array(ValueType.FLOAT32, [0.0, -1.0, 2.5]),
        "empty": Value.array(ValueType.INT32, []),
    }
    plans = [
        TensorPlan("token_embd.weight", TENSOR_TYPES_BY_NAME["F16"], (8, 4)),
        TensorPlan("blk.0.attn_q.weight", TENSOR_TYPES_BY_NAME["Q4_0"], (64, 2)),
        TensorPlan("output_norm.weight", TENSOR_TYPES_BY_NAME["F32"], (3,)),
    ]
    out = io.BytesIO()
    writer = GGUFWriter(out, metadata, plans)
    for number, plan in enumerate(plans, start=1):
        writer.write_tensor([bytes([number]) * plan.nbytes])
    writer.finish()
    return out.getvalue()
