"""What every endpoint shares: the store, the scheduler and the server's defaults."""

import asyncio
from dataclasses import dataclass, field
from functools import cached_property
from typing import cast

from quart import Quart, current_app

from modelkit.durations import FOREVER, seconds_setting
from modelkit.serve.api.catalogue import Catalogue
from modelkit.serve.loading import default_load_options
from modelkit.serve.scheduling.scheduler import Scheduler
from modelkit.serve.types import LoadOptions
from modelkit.settings import flag, uint
from modelkit.store import Store

_KEY = "modelkit"


def default_scheduler() -> Scheduler:
    """A scheduler with the limits that the environment sets."""
    timeout = seconds_setting("LOAD_TIMEOUT", 300.0, zero_is_forever=True)
    patience = seconds_setting("STALL_TIMEOUT", 300.0, zero_is_forever=True)
    return Scheduler(
        max_loaded=uint("MAX_LOADED_MODELS", 0),
        max_queue=uint("MAX_QUEUE", 512),
        keep_alive=seconds_setting("KEEP_ALIVE", 300.0),
        load_timeout=None if timeout == FOREVER else timeout,
        stall_timeout=None if patience == FOREVER else patience,
        spare=flag("SPARE_RUNNER", default=True),
    )


@dataclass(frozen=True)
class State:
    """The parts of a running server; `leaving` is set once it is told to stop."""

    store: Store
    scheduler: Scheduler
    load_options: LoadOptions = field(default_factory=default_load_options)
    leaving: asyncio.Event = field(default_factory=asyncio.Event)

    @cached_property
    def catalogue(self) -> Catalogue:
        """Where requests find their models."""
        return Catalogue(self.store)


def attach(app: Quart, state: State) -> None:
    """Give the application its state."""
    app.extensions[_KEY] = state


def state() -> State:
    """The state of the application that handles this request."""
    return state_of(current_app)


def state_of(app: Quart) -> State:
    """What `attach` gave the application."""
    return cast(State, app.extensions[_KEY])
