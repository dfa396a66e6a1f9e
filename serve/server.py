"""`modelkit serve`: the model API over a store, from its start-up duties to its end."""

import logging

from quart import Quart

from modelkit.address import Address
from modelkit.asgi import hosting
from modelkit.durations import seconds_setting
from modelkit.errors import ModelkitError, UsageError
from modelkit.registry.auth.key_challenge import key_paths
from modelkit.registry.trust.keys import generate_openssh
from modelkit.serve import logs
from modelkit.serve.api.state import state_of
from modelkit.serve.app import create_app
from modelkit.serve.keys import KeyFile
from modelkit.settings import flag
from modelkit.store import Store

_log = logging.getLogger(__name__)


DRAIN = 10.0
"""Seconds that answers in progress get to come to their end when the server is told to stop."""


def run(store: Store, address: Address) -> None:
    """Serve until SIGINT or SIGTERM; says on stderr where it listens.

    Raises ModelkitError when the address cannot be listened on, UsageError for a bad setting and
    for an address that others can reach while there are no API keys.
    """
    logs.configure()
    with hosting.listen(address) as listener:
        loopback = hosting.is_loopback(listener)
        keys = required_keys(KeyFile.of(store), loopback, address)
        app = create_app(store, loopback=loopback, keys=keys)
        tidy(store)
        ensure_key()
        hosting.run(app, listener, _leaving(app))


def required_keys(keys: KeyFile, loopback: bool, address: Address) -> KeyFile | None:
    """The keys that clients must have: none on loopback, unless MODELKIT_REQUIRE_KEYS is set.

    On an address that others can reach, none with MODELKIT_NO_AUTH. Raises UsageError when keys
    are required and there are none.
    """
    if flag("NO_AUTH") or (loopback and not flag("REQUIRE_KEYS")):
        return None
    if not keys.all():
        raise UsageError(
            f"{address} needs API keys, and {keys.path} has none",
            hint="make one with `modelkit key create NAME`, "
            "or let everybody in who reaches the address with MODELKIT_NO_AUTH=1",
        )
    return keys


def _leaving(app: Quart) -> hosting.Leaving:
    return hosting.Leaving(
        told=state_of(app).leaving.set,
        delay=min(seconds_setting("SHUTDOWN_DELAY", 0.0), hosting.LONGEST_DRAIN),
        drain=seconds_setting("DRAIN_TIMEOUT", DRAIN),
    )


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
