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


def redirect(target: int, family: str = "ip") -> None:
    """Datagrams to port 5300 go to another port, from their next entry on."""
    nftables = Nftables()
    nftables.run(f"add table {family} t; delete table {family} t; add table {family} t")
    nftables.run(f"add chain {family} t o {{ type nat hook output priority -100; }}")
    nftables.run(f"add rule {family} t o udp dport 5300 dnat to :{target}")


def server(host: str = "127.0.0.1") -> socket.socket:
    made = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
    made.bind((host, 0))
    made.settimeout(60)
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


@pytest.mark.parametrize(("host", "family"), [("127.0.0.1", "ip"), ("::1", "ip6")])
def test_forgotten_it_is_led_anew(conntrack: Conntrack, host: str, family: str) -> None:
    with server(host) as old, server(host) as new, server(host) as client:
        redirect(old.getsockname()[1], family)
        client.connect((host, 5300))
        client.send(b"one")
        assert old.recv(10) == b"one"
        redirect(new.getsockname()[1], family)
        address = ipaddress.ip_address(host)
        conntrack.forget([Forward("udp", address, 5300, address, 5300)])
        client.send(b"two")
        assert new.recv(10) == b"two"


def test_streams_through_a_port_that_goes_end(conntrack: Conntrack) -> None:
    nftables = Nftables()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        target = listener.getsockname()[1]
        nftables.run("add table ip t; add chain ip t o { type nat hook output priority -100; }")
        nftables.run("add map ip t m { type inet_service : ipv4_addr . inet_service; }")
        nftables.run(f"add element ip t m {{ 5300 : 127.0.0.1 . {target}, 5301 : 127.0.0.1 . {target} }}")
        nftables.run("add rule ip t o dnat ip to tcp dport map @m")
        ends = []
        for port in (5300, 5301):
            client = socket.create_connection(("127.0.0.1", port), timeout=5)
            server, _ = listener.accept()
            ends.append((client, server))
        nftables.run("delete element ip t m { 5300 }")
        conntrack.cut([Forward("tcp", LOCAL, 5300, LOCAL, target)])
        (gone, _), (kept, far) = ends
        kept.send(b"on")
        assert far.recv(10) == b"on"
        gone.send(b"x")
        with pytest.raises(ConnectionError):
            gone.recv(10)
        for pair in ends:
            for each in pair:
                each.close()


@pytest.mark.parametrize(("met", "led"), [("127.0.0.1", "new"), ("127.0.0.2", "old")])
def test_what_comes_to_an_address_is_met_anew(conntrack: Conntrack, met: str, led: str) -> None:
    with server() as old, server() as new, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        redirect(old.getsockname()[1])
        client.connect(("127.0.0.1", 5300))
        client.send(b"one")
        assert old.recv(10) == b"one"
        redirect(new.getsockname()[1])
        conntrack.meet([ipaddress.ip_address(met)])
        client.send(b"two")
        assert {"old": old, "new": new}[led].recv(10) == b"two"
