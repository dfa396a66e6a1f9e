"""`modelkit serve`: the model API over a store, from its start-up duties to its end."""

import logging

from modelkit.address import Address
from modelkit.asgi import hosting
from modelkit.durations import seconds_setting
from modelkit.errors import ModelkitError
from modelkit.registry.auth.key_challenge import key_paths
from modelkit.registry.trust.keys import generate_openssh
from modelkit.serve.app import create_app
from modelkit.settings import flag
from modelkit.store import Store

_log = logging.getLogger(__name__)


DRAIN = 10.0
"""Seconds that answers in progress get to come to their end when the server is told to stop."""


def run(store: Store, address: Address) -> None:
    """Serve until SIGINT or SIGTERM; says on stderr where it listens.

    Raises ModelkitError when the address cannot be listened on, UsageError for a bad setting.
    """
    with hosting.listen(address) as listener:
        app = create_app(store, loopback=hosting.is_loopback(listener))
        tidy(store)
        ensure_key()
        hosting.run(app, listener, drain=seconds_setting("DRAIN_TIMEOUT", DRAIN))


def ensure_key() -> None:
    """Make the key that Ollama's registry knows a user by, unless there is one."""
    if any(path.exists() for path in key_paths()):
        return
    try:
        generate_openssh(key_paths()[0])
    except ModelkitError as error:
        _log.warning("no key for registries that ask for one: %s", error)


def tidy(store: Store) -> None:
    """Rename and prune blobs as a server does when it starts, unless the store is read-only."""
    if flag("NOPRUNE"):
        return
    try:
        store.tidy()
    except ModelkitError as error:
        _log.warning("not tidying the store: %s", error)
