"""The public internet: which addresses belong to it, and connections that reach no others."""

import ipaddress
import socket

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

from modelkit.errors import ModelkitError

_UNICAST = ipaddress.ip_network("2000::/3")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")

# What `is_global` of some Python releases still takes for public, or what is so in name only.
_SPECIAL = tuple(
    map(
        ipaddress.ip_network,
        (
            "168.63.129.16/32",  # Azure answers its virtual machines here
            "192.0.0.0/24",  # protocol assignments; Oracle's cloud answers here
            "192.88.99.0/24",  # relays of 6to4
            "2002::/16",  # 6to4, which leads to the IPv4 address inside
            "3fff::/20",  # documentation
        ),
    )
)


class NotPublic(ModelkitError):
    """A host has an address that is not on the public internet, or is this machine's own."""

    def __init__(self, host: str, address: str) -> None:
        super().__init__(f"{host} is at {address}, which is not on the public internet")
        self.host = host
        self.address = address


def is_public(text: str) -> bool:
    """Whether an IP address can be somebody else's on the public internet.

    Behind the well-known NAT64 prefix the IPv4 address counts. Raises ValueError for what is no
    address.
    """
    address = ipaddress.ip_address(text)
    if address in _NAT64:
        return is_public(str(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)))
    if address.version == 6 and address not in _UNICAST:
        return False
    special = address.is_multicast or any(address in network for network in _SPECIAL)
    return address.is_global and not special


def is_own(text: str) -> bool:
    """Whether an IP address belongs to this machine: then it is also where we would come from."""
    family = socket.AF_INET6 if ":" in text else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((text, 9))  # sends nothing
            return ipaddress.ip_address(probe.getsockname()[0]) == ipaddress.ip_address(text)
    except OSError:
        return False


def public_addresses(host: str, port: int) -> list[str]:
    """Where a host is, the preferred address first; raises NotPublic when one is not public.

    Raises socket.gaierror for a name that nobody knows.
    """
    try:
        found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
    except UnicodeError as error:
        raise socket.gaierror(socket.EAI_NONAME, str(error)) from error
    addresses = list(dict.fromkeys(str(item[4][0]) for item in found))
    for address in addresses:
        if not is_public(address) or is_own(address):
            raise NotPublic(host, address)
    return addresses


class _PublicHTTPConnection(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        """A connection to an address that was checked: the name is looked up once."""
        name = self._dns_host
        try:
            addresses = public_addresses(name, self.port)
        except socket.gaierror as error:
            raise NameResolutionError(name, self, error) from error
        for address in addresses[:-1]:
            try:
                return self._dial(address, name)
            except (NewConnectionError, ConnectTimeoutError):
                continue
        return self._dial(addresses[-1], name)

    def _dial(self, address: str, name: str) -> socket.socket:
        self._dns_host = address
        try:
            return super()._new_conn()
        finally:
            self._dns_host = name  # the certificate must be the name's


class _PublicHTTPSConnection(_PublicHTTPConnection, HTTPSConnection):
    pass


class PublicHTTPPool(HTTPConnectionPool):
    """Plain connections to one host; requests raise NotPublic when it is not public."""

    ConnectionCls = _PublicHTTPConnection


class PublicHTTPSPool(HTTPSConnectionPool):
    """The same with TLS."""

    ConnectionCls = _PublicHTTPSConnection
