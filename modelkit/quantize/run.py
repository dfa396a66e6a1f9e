"""Quantizing a GGUF file: checks before, llama.cpp in a child process, an atomic result."""

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from modelkit.errors import GGUFError, QuantizeError, UsageError
from modelkit.gguf import GGUFHeader, read_header
from modelkit.progress import Progress, Report, silent
from modelkit.quantize.child import run_worker
from modelkit.quantize.types import (
    NEEDS_IMATRIX,
    QUANTIZATIONS,
    UNQUANTIZED,
    file_type_name,
    parse_quantization,
)

ALREADY_QUANTIZED = "quantization is only supported for F16, BF16 and F32 models"
_NO_IMATRIX_HINT = "choose a type that needs none, such as IQ4_XS, Q3_K_S or Q2_K"


def quantize(
    source: Path, target: Path, quantization: str, *, report: Report = silent, threads: int = 0
) -> None:
    """Write `source`, a GGUF in F32, F16 or BF16, to `target` in another type (any case).

    The same input gives the same bytes, whatever `threads` (0: all cores). Progress is in bytes
    of the source. `target` appears complete or not at all; an exception from `report`, which is
    called twice a second, stops the work.

    Raises UsageError for an unknown type or when both paths are one file, GGUFError for a bad
    source, QuantizeError with llama.cpp's reason, EngineError when llama.cpp is missing or
    crashes.
    """
    name = parse_quantization(quantization)
    if os.path.realpath(source) == os.path.realpath(target):
        raise UsageError(
            f"cannot quantize {source} onto itself", hint="give the output another name"
        )
    header = read_header(source, arrays=False)
    source_type = check_source(header, source)
    refuse_imatrix_types(name)
    meter = _Meter(f"quantizing {source_type} model to {name}", header, report)
    with _temporary_next_to(target) as temporary:
        request = {"source": str(source), "target": str(temporary), "threads": threads}
        messages = run_worker(call="quantize", ftype=QUANTIZATIONS[name], **request)
        with closing(messages):
            for message in messages:
                if "error" in message:
                    raise _failed(message["error"], name, source, target)
                meter.take(message)
        _check_result(temporary, target)
        temporary.replace(target)
    meter.finish()


def refuse_imatrix_types(name: str) -> None:
    """Raise QuantizeError for a type that works for no model without an importance matrix."""
    if name in NEEDS_IMATRIX:
        raise QuantizeError(f"{name} needs an importance matrix", hint=_NO_IMATRIX_HINT)


def check_source(header: GGUFHeader, source: Path) -> str:
    """Return the source's type; raises QuantizeError unless it is F32, F16 or BF16."""
    name = file_type_name(header.metadata.get("general.file_type"))
    if name == "unknown":
        name = _widest_type(header)
    if name not in UNQUANTIZED:
        raise QuantizeError(
            f"{ALREADY_QUANTIZED}, {source} is {name}",
            hint="start again from the full-precision weights",
        )
    return name


def _widest_type(header: GGUFHeader) -> str:
    """The type of most weights, for a file that does not name its own; norms are always F32."""
    sizes: dict[str, int] = {}
    for tensor in header.tensors:
        sizes[tensor.type] = sizes.get(tensor.type, 0) + tensor.elements
    return max(sizes, key=lambda name: sizes[name], default="F32")


class _Meter:
    """Turns the worker's messages into progress in bytes of the source."""

    def __init__(self, status: str, header: GGUFHeader, report: Report) -> None:
        self.status = status
        self.sizes = {tensor.name: tensor.nbytes for tensor in header.tensors}
        self.total = sum(self.sizes.values())
        self.completed = 0
        self.started = 0
        self.report = report

    def take(self, message: dict[str, object]) -> None:
        """A tensor that starts means that the one before it is done; a tick repeats the state."""
        if "tensor" in message:
            self.completed += self.started
            self.started = self.sizes.pop(str(message["tensor"]), 0)
        self.report(Progress(self.status, total=self.total, completed=self.completed))

    def finish(self) -> None:
        self.report(Progress(self.status, total=self.total, completed=self.total))


@contextmanager
def _temporary_next_to(target: Path) -> Iterator[Path]:
    """A name in the target's folder, so that the final rename is atomic; gone afterwards."""
    temporary = target.with_name(f"{target.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    try:
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def _failed(reason: str, name: str, source: Path, target: Path) -> QuantizeError:
    """llama.cpp's reason in the user's terms."""
    if "importance matrix" in reason or "imatrix" in reason:
        return QuantizeError(
            f"{name} needs an importance matrix for this model", hint=_NO_IMATRIX_HINT
        )
    if "iostream error" in reason:
        return _unwritable(target)
    if "requantizing" in reason:
        return QuantizeError(
            f"{ALREADY_QUANTIZED}, {source}: {reason}",
            hint="start again from the full-precision weights",
        )
    return QuantizeError(f"cannot quantize {source} to {name}: {reason}")


def _unwritable(target: Path) -> QuantizeError:
    if not target.parent.is_dir():
        return QuantizeError(
            f"cannot write {target}: there is no folder {target.parent}", hint="make it first"
        )
    free = shutil.disk_usage(target.parent).free
    return QuantizeError(
        f"cannot write {target}: the disk is full or read-only ({free >> 20} MB free)",
        hint="free some space or write elsewhere",
    )


def _check_result(path: Path, target: Path) -> None:
    """Refuse a file that is shorter than its own header says."""
    try:
        read_header(path, arrays=False)
    except GGUFError as error:
        raise QuantizeError(f"llama.cpp wrote a damaged {target}: {error.message}") from error
