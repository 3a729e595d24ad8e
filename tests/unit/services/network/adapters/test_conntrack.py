"""Forgetting where datagrams used to go."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterator

import pytest

from services.network.adapters.conntrack import Conntrack
from services.network.adapters.nftables import Nftables
from services.network.domain.publishing import Forward

pytestmark = pytest.mark.usefixtures("host_network")
LOCAL = ipaddress.ip_address("127.0.0.1")


@pytest.fixture
def conntrack(host_network: None) -> Iterator[Conntrack]:
    opened = Conntrack()
    yield opened
    opened.close()


def forward(protocol: str, port: int) -> Forward:
    return Forward(protocol, LOCAL, port, LOCAL, port)


def redirect(target: int) -> None:
    """Datagrams to port 5300 go to another port, from their next entry on."""
    nftables = Nftables()
    nftables.run("add table ip t; delete table ip t; add table ip t")
    nftables.run("add chain ip t o { type nat hook output priority -100; }")
    nftables.run(f"add rule ip t o udp dport 5300 dnat to :{target}")
    nftables.close()


def server() -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.bind(("127.0.0.1", 0))
    made.settimeout(5)
    return made


@pytest.mark.parametrize("forgotten", [forward("udp", 5301), forward("tcp", 5300), None])
def test_a_client_that_goes_on_sending_is_not_led_anew_by_itself(
    conntrack: Conntrack, forgotten: Forward | None
) -> None:
    with server() as old, server() as new, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        redirect(old.getsockname()[1])
        client.connect(("127.0.0.1", 5300))
        client.send(b"one")
        assert old.recv(10) == b"one"
        redirect(new.getsockname()[1])
        conntrack.forget([forgotten] if forgotten else [])
        client.send(b"two")
        assert old.recv(10) == b"two"


def test_forgotten_it_is_led_anew(conntrack: Conntrack) -> None:
    with server() as old, server() as new, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        redirect(old.getsockname()[1])
        client.connect(("127.0.0.1", 5300))
        client.send(b"one")
        assert old.recv(10) == b"one"
        redirect(new.getsockname()[1])
        conntrack.forget([forward("udp", 5300)])
        client.send(b"two")
        assert new.recv(10) == b"two"
