"""Does a model fit into memory, and with which options if not with the ones it was asked for?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from modelkit.errors import EngineError, GGUFError
from modelkit.serve.capacity.memory import Memory, estimate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from modelkit.serve.types import LoadOptions, ModelFiles

CONTEXT_STEPS = (32768, 4096)
"""What an automatic context length falls back to."""
SMALL_BATCH = 128
"""What an automatic num_batch falls back to: prompts are read a little slower."""
COMFORTABLE = 0.8
"""The part of the free memory that a model may take while others are loaded."""


class TooLarge(EngineError):
    """A model needs more memory than there is."""

    def __init__(self, need: Memory, available: int, options: LoadOptions) -> None:
        super().__init__(
            f"model requires more system memory ({_gib(need.total)}) than is available "
            f"({_gib(available)}): {_gib(need.weights)} for weights, {_gib(need.cache)} for the "
            f"cache of {options.num_parallel} x {options.num_ctx} tokens, "
            f"{_gib(need.compute + need.runtime)} to compute",
            hint="lower num_ctx or OLLAMA_NUM_PARALLEL, set OLLAMA_KV_CACHE_TYPE=q8_0, or use a "
            "smaller quantization; `modelkit show --memory` prints what a model takes",
        )


def needed(files: ModelFiles, options: LoadOptions) -> Memory | None:
    """What the model will take; None when its file cannot be read, which llama.cpp explains."""
    try:
        return estimate(files, options)
    except (GGUFError, OSError):
        return None


def smaller(options: LoadOptions) -> Iterator[LoadOptions]:
    """Options that need less and less, by lowering what nobody asked for."""
    if "prefix_cache_memory" in options.automatic and options.prefix_cache_memory:
        options = msgspec.structs.replace(options, prefix_cache_memory=0)
        yield options
    if "num_batch" in options.automatic and options.num_batch > SMALL_BATCH:
        options = msgspec.structs.replace(options, num_batch=SMALL_BATCH)
        yield options
    if "num_ctx" in options.automatic:
        for step in CONTEXT_STEPS:
            if step < options.num_ctx:
                options = msgspec.structs.replace(options, num_ctx=step)
                yield options
    while "num_parallel" in options.automatic and options.num_parallel > 1:
        options = msgspec.structs.replace(options, num_parallel=options.num_parallel // 2)
        yield options


def fitted(files: ModelFiles, options: LoadOptions, available: int) -> LoadOptions:
    """The first of these and smaller options with which the model fits; raises TooLarge."""
    need = needed(files, options)
    candidates = smaller(options)
    while need and need.total > available:
        if (less := next(candidates, None)) is None:
            raise TooLarge(need, available, options)
        need, options = needed(files, less), less
    return options


def _gib(size: int) -> str:
    return f"{size / 2**30:.1f} GiB"
