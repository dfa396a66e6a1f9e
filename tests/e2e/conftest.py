"""Whole programs: the command line in processes of its own, servers on free ports."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import pytest

from tests import processes

Starter = Callable[..., AbstractContextManager[str]]


@pytest.fixture
def serving(tmp_path: Path) -> Starter:
    """`with serving("serve", ...) as url:` runs a modelkit server on a free port."""
    return partial(processes.serving, tmp_path)
