"""Only addresses on the public internet are public, however they are written."""

import ipaddress
import socket
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from urllib3.exceptions import NameResolutionError

from modelkit.registry.http import public
from modelkit.registry.http.public import (
    NotPublic,
    PublicHTTPPool,
    is_own,
    is_public,
    public_addresses,
)
from tests.registry.servers import Reply, WebServer

# Every block of IANA's special-purpose registries that leads to no host of somebody else's.
CLOSED = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "168.63.129.16/32",
    "::/128",
    "::1/128",
    "::/96",
    "::ffff:0:0/96",
    "64:ff9b:1::/48",
    "100::/64",
    "2001:db8::/32",
    "2001::/32",
    "2002::/16",
    "3fff::/20",
    "5f00::/16",
    "fc00::/7",
    "fe80::/10",
    "fec0::/10",
    "ff00::/8",
    "4000::/3",
]
OPEN = [
    "1.1.1.1",
    "8.8.8.8",
    "93.184.216.34",
    "223.255.255.1",
    "2606:4700::1111",
    "2a00:1450::1",
    "64:ff9b::808:808",
]
NOBODY = "a" * 64 + ".example"  # too long for a name, so that no one is asked


def addresses_in(block: str) -> st.SearchStrategy[str]:
    return st.ip_addresses(network=block).map(str)


@given(st.sampled_from(CLOSED).flatmap(addresses_in))
def test_no_address_of_a_closed_block_is_public(address: str) -> None:
    assert not is_public(address)


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_is_never_reached_through_ipv6_when_it_is_closed(
    address: ipaddress.IPv4Address,
) -> None:
    number = int(address)
    nat64 = ipaddress.IPv6Address((0x64FF9B << 96) | number)
    mapped = ipaddress.IPv6Address((0xFFFF << 32) | number)
    compatible = ipaddress.IPv6Address(number)
    six_to_four = ipaddress.IPv6Address((0x2002 << 112) | (number << 80))
    assert is_public(str(nat64)) == is_public(str(address))
    assert not any(map(is_public, map(str, (mapped, compatible, six_to_four))))


@given(st.ip_addresses())
def test_public_is_no_more_than_what_is_global_and_for_one_host(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    for_one = not (address.is_multicast or address.is_loopback or address.is_link_local)
    assert not is_public(str(address)) or (address.is_global and for_one)


@pytest.mark.parametrize("address", OPEN)
def test_ordinary_addresses_are_public(address: str) -> None:
    assert is_public(address)


def test_a_name_is_public_only_when_all_its_addresses_are() -> None:
    assert public_addresses("8.8.8.8", 80) == ["8.8.8.8"]
    for host in ("localhost", "127.0.0.1", "2130706433", "0x7f.1", "[::1]", "[::ffff:127.0.0.1]"):
        with pytest.raises(NotPublic, match="not on the public internet"):
            public_addresses(host, 80)
    with pytest.raises(socket.gaierror):
        public_addresses(NOBODY, 80)


def test_this_machines_addresses_are_its_own() -> None:
    assert is_own("127.0.0.1")
    assert not is_own("8.8.8.8")
    assert not is_own("224.0.0.1")


def test_no_connection_is_made_to_a_host_that_is_not_public() -> None:
    with WebServer(lambda _request: Reply()) as server:
        pool = PublicHTTPPool("127.0.0.1", int(server.host.rpartition(":")[2]))
        with pytest.raises(NotPublic):
            pool.urlopen("GET", "/", retries=False)
    assert server.requests == []
    with pytest.raises(NameResolutionError):
        PublicHTTPPool(NOBODY).urlopen("GET", "/", retries=False)


def test_a_name_that_changes_its_address_is_looked_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    real, asked = socket.getaddrinfo, []

    def rebinding(host: str, port: int, *more: Any, **named: Any) -> Any:
        """The first answer is one address, every further one another."""
        if host == "rebinding.example":
            asked.append(host)
            host = "127.0.0.1" if len(asked) == 1 else "127.0.0.2"
        return real(host, port, *more, **named)

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    monkeypatch.setattr(public, "is_public", lambda address: address == "127.0.0.1")
    monkeypatch.setattr(public, "is_own", lambda _address: False)
    with WebServer(lambda _request: Reply(204)) as server:
        pool = PublicHTTPPool("rebinding.example", int(server.host.rpartition(":")[2]))
        assert pool.urlopen("GET", "/", retries=False).status == 204
        assert len(asked) == 1
        with pytest.raises(NotPublic, match=r"rebinding\.example is at 127\.0\.0\.2"):
            PublicHTTPPool("rebinding.example", pool.port).urlopen("GET", "/", retries=False)
    assert server.requests[0].headers["host"] == f"rebinding.example:{pool.port}"
    assert len(server.requests) == 1
