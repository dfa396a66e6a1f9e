"""LoRA adapters: each file is loaded once, and a set of them is applied to the whole context."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelkit.serve.runner.llama.model import Model
    from modelkit.serve.types import Adapter


class AdapterSet(NamedTuple):
    """Adapters that are applied together: their handles with their strengths.

    `name` is the same for the same files and strengths, in every process; "" means none.
    """

    name: str = ""
    handles: tuple[tuple[int, float], ...] = ()


NO_ADAPTERS = AdapterSet()


class Adapters:
    """The adapters of one model, kept as long as it: a base model seldom has many. Thread-safe."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._handles: dict[str, int] = {}
        self._lock = Lock()

    def load(self, adapters: Sequence[Adapter]) -> AdapterSet:
        """The set of these adapters; one that is named twice counts with the sum of its strengths.

        Raises EngineError with llama.cpp's reason when it cannot read a file.
        """
        scales: dict[str, float] = {}
        for adapter in adapters:
            scales[adapter.path] = scales.get(adapter.path, 0.0) + adapter.scale
        # In one order only: floating-point sums depend on it.
        items = sorted(scales.items())
        name = "\n".join(f"{path}\t{scale!r}" for path, scale in items)
        return AdapterSet(name, tuple((self._handle(path), scale) for path, scale in items))

    def _handle(self, path: str) -> int:
        with self._lock:
            if path not in self._handles:
                self._handles[path] = self._model.load_adapter(path)
            return self._handles[path]
