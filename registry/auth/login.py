"""Sign in to a registry and out again, in docker's configuration."""

from modelkit.registry.auth import credentials
from modelkit.registry.auth.credentials import Credentials
from modelkit.registry.client import RegistryClient


def login(host: str, username: str, secret: str, *, insecure: bool = False) -> str:
    """Try the password on the registry and keep it; returns where it is kept.

    That is docker's credential helper for the host, else config.json. Raises AuthError when the
    registry refuses the password, Unreachable when it does not answer; then nothing is kept.
    """
    given = Credentials(username, secret)
    with RegistryClient(host, insecure=insecure, credentials=given) as client:
        client.ping()
    return credentials.store(host, username, secret)


def logout(host: str) -> bool:
    """Forget the host's password; returns whether there was one."""
    return credentials.erase(host)
