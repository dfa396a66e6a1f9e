"""Threads that the process is of no use without."""

from __future__ import annotations

import os
import sys
import traceback
from typing import TYPE_CHECKING, ParamSpec

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")


def run_or_die(work: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
    """Run it; what it raises ends the process, and the parent reports the last line."""
    try:
        work(*args, **kwargs)
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)
