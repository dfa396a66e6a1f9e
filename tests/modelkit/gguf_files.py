"""Small GGUF files of any content, for tests that look at models without running them."""

from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

from modelkit.gguf import GGUFWriter, TensorPlan
from modelkit.gguf.types import TENSOR_TYPES_BY_NAME, Value, ValueType


def write_gguf(
    path: Path,
    metadata: Mapping[str, object],
    tensors: Mapping[str, tuple[int, ...]] | None = None,
) -> Path:
    """Write a GGUF with these values and F32 tensors of zeros; returns `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gguf_bytes(metadata, tensors))
    return path


def gguf_bytes(
    metadata: Mapping[str, object], tensors: Mapping[str, tuple[int, ...]] | None = None
) -> bytes:
    """Such a GGUF in memory."""
    f32 = TENSOR_TYPES_BY_NAME["F32"]
    plans = [TensorPlan(name, f32, shape) for name, shape in (tensors or {}).items()]
    out = BytesIO()
    writer = GGUFWriter(out, {key: _value(item) for key, item in metadata.items()}, plans)
    for plan in plans:
        writer.write_tensor([bytes(plan.nbytes)])
    writer.finish()
    return out.getvalue()


def _value(item: object) -> Value:
    match item:
        case bool():
            return Value.boolean(item)
        case int():
            return Value.uint32(item)
        case float():
            return Value.float32(item)
        case str():
            return Value.string(item)
        case list():
            kind = ValueType.STRING if isinstance(item[0], str) else ValueType.UINT32
            return Value.array(kind, item)
    raise TypeError(f"no GGUF type for {item!r}")
