"""Starting runners on machines where llama.cpp's repacked weights crash: they go without.

Repacking makes models two times as fast where it works. An engine that was compiled by a faulty
compiler, or for another CPU, crashes at its first step with them, which every runner takes while it
loads; it is then started once more without, and that is remembered for this engine on this machine.
"""

from __future__ import annotations

import hashlib
import logging
import os
import platform
import re
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from modelkit.quantize.child import FAULTS
from modelkit.serve.capacity.cgroups import read
from modelkit.serve.runner.parent.process import Crashed, RunnerProcess

if TYPE_CHECKING:
    from modelkit.serve.types import LoadOptions, ModelFiles

_log = logging.getLogger(__name__)


async def start_runner(files: ModelFiles, options: LoadOptions, **settings: Any) -> RunnerProcess:
    """RunnerProcess.start, with repacked weights unless they crash here; raises what it raises."""
    note = crash_note()
    careful = msgspec.structs.replace(options, extra_buffers=False)
    if note.exists() or not options.extra_buffers:
        return await RunnerProcess.start(files, careful, **settings)
    try:
        return await RunnerProcess.start(files, options, **settings)
    except Crashed as crash:
        if crash.signal not in FAULTS:
            raise
    runner = await RunnerProcess.start(files, careful, **settings)
    _log.warning(
        "the engine crashes with repacked weights, so models run without them, slower; compile it "
        "again (`make setup`, or see `modelkit doctor`). Noted in %s",
        note,
    )
    _remember(note, files.model)
    return runner


def crash_note() -> Path:
    """The file that says that repacked weights crash with this engine on this CPU."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return folder / "modelkit" / f"engine-{_engine()}-crashes-with-repacked-weights"


@cache
def _engine() -> str:
    """A name for the compiled engine and the CPU: another build, or another CPU, is tried anew."""
    spec = find_spec("llama_cpp")
    folders = list(spec.submodule_search_locations or ()) if spec else []
    libraries = sorted(path for folder in folders for path in Path(folder).glob("lib/*.so*"))
    features = re.search(r"^(flags|Features).*$", read(Path("/proc/cpuinfo")), re.MULTILINE)
    parts = [
        version("llama-cpp-python"),
        *(f"{path.name} {path.stat().st_size} {path.stat().st_mtime_ns}" for path in libraries),
        features[0] if features else platform.processor(),
    ]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _remember(note: Path, model: str) -> None:
    try:
        note.parent.mkdir(parents=True, exist_ok=True)
        note.write_text(f"seen with {model}; delete this file to try again\n")
    except OSError as error:
        _log.warning("cannot write %s: %s", note, error.strerror)
