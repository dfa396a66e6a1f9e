"""What a runner does from its first command, which loads a model, to the last."""

from __future__ import annotations

import os
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING

from modelkit.errors import EngineError, ModelkitError
from modelkit.serve.runner.connection import Connection
from modelkit.serve.runner.frames import GRACE, Load, LoadProgress
from modelkit.serve.runner.llama.log import Log
from modelkit.serve.runner.loading import load
from modelkit.serve.runner.service import Service

if TYPE_CHECKING:
    from modelkit.serve.runner.loading import Loaded

_PROGRESS_INTERVAL = 0.05  # seconds
_SAVING = GRACE - 0.5  # seconds; the rest is for the way there and out


def run(descriptor: int) -> int:
    """Serve the socket until the server closes it; returns only when the model does not load."""
    connection = Connection(descriptor)
    service: Service | None = None
    with suppress(SystemExit):  # from _terminate
        for command in connection.commands():
            if service:
                service.handle(command)
                continue
            if not isinstance(command, Load):
                raise EngineError("the first command must load a model")
            try:
                service = _start(command, connection)
            except ModelkitError as error:
                connection.fail(0, error)
                return 1
    if service:
        service.stop(_SAVING)
    sys.stderr.flush()
    os._exit(0)


def _start(command: Load, connection: Connection) -> Service:
    """Load the model and start to decode; raises ModelkitError when that fails."""
    # GNU's OpenMP keeps helpers for every thread that ever computed, and when it counts more
    # threads than cores they no longer wait awake: a token would cost a third more. Only the decode
    # loop's thread must be left, so this one ends.
    with ThreadPoolExecutor(1, thread_name_prefix="load") as loader:
        loaded = loader.submit(_load, command, connection).result()
    service = Service(loaded, connection)
    if service.saves:
        signal.signal(signal.SIGTERM, _terminate)
    connection.answer(0, loaded.info())
    return service


def _load(command: Load, connection: Connection) -> Loaded:
    last = 0.0

    def progress(fraction: float) -> None:
        nonlocal last
        if time.monotonic() - last > _PROGRESS_INTERVAL:
            last = time.monotonic()
            connection.answer(0, LoadProgress(fraction))

    return load(command.files, command.options, Log(), progress)


def _terminate(*_: object) -> None:
    """End the main loop; a second signal must not disturb what is done then."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise SystemExit
