"""Checkpoints in Hugging Face's layout to GGUF, without PyTorch."""

from collections.abc import Mapping
from pathlib import Path

from modelkit.convert.checkpoint import is_checkpoint
from modelkit.gguf.writer import SupportsWrite
from modelkit.progress import Report, silent

__all__ = ["convert", "is_checkpoint"]


def convert(
    files: Mapping[str, Path],
    out: SupportsWrite,
    outtype: str = "auto",
    report: Report = silent,
) -> None:
    """Write the checkpoint as one GGUF file to `out`, front to back.

    `files` maps names inside the model's folder ("config.json", "1_Pooling/config.json") to paths.
    `outtype` is the type of the matrices: "f32", "f16", "bf16", or "auto", which keeps bfloat16 and
    makes the rest float16. Vectors and what the engine demands stay float32. The same files give
    the same bytes. Raises ConvertError; what was already written to `out` is then useless.
    """
    # numpy is only needed, and only loaded, when something is converted
    from modelkit.convert.pipeline import run

    run(files, out, outtype, report)
