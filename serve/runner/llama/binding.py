"""llama_cpp's low-level API, `api`, without what its package imports besides."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from importlib.util import find_spec, module_from_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def _package_left_out() -> Iterator[None]:
    """Imports of modules inside llama_cpp do not run the package's own: its high-level API.

    That would take a fifth of a runner's start and 20 MB. Whoever imports the package afterwards
    gets it whole.
    """
    spec = None if "llama_cpp" in sys.modules else find_spec("llama_cpp")
    if spec is None:
        yield
        return
    sys.modules["llama_cpp"] = module_from_spec(spec)
    try:
        yield
    finally:
        del sys.modules["llama_cpp"]


with _package_left_out():
    import llama_cpp.llama_cpp as api

__all__ = ["api"]
