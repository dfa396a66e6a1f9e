"""Whole programs: the command line in processes of its own, servers on free ports."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

Starter = Callable[..., AbstractContextManager[str]]
LISTENING = re.compile(r"^Listening on (http\S+)$", re.MULTILINE)


@pytest.fixture
def serving(tmp_path: Path) -> Starter:
    """`with serving("serve", ...) as url:` runs a modelkit server on a free port."""

    @contextmanager
    def start(*arguments: str, **environment: str) -> Iterator[str]:
        log = tmp_path / f"server-{time.monotonic_ns()}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "modelkit", *arguments],
                stdout=output,
                stderr=output,
                env=os.environ | environment,
            )
        try:
            while (found := LISTENING.search(log.read_text())) is None:
                assert process.poll() is None, log.read_text()
                time.sleep(0.05)
            yield found[1]
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0, log.read_text()

    return start
