"""Encrypted networks between two hosts, with the kernel's own VXLAN and TCP."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.protected_hosts import ProtectedHost, two_hosts

SECRET = b"what nobody else may read"


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[tuple[ProtectedHost, ProtectedHost]]:
    with two_hosts(tmp_path) as pair:
        yield pair


@pytest.fixture
def protected(hosts: tuple[ProtectedHost, ProtectedHost]) -> tuple[ProtectedHost, ProtectedHost]:
    for host in hosts:
        host.protect()
    for host, other in (hosts, hosts[::-1]):
        host.loop.call_soon_threadsafe(host.protection.peers, {other.address})
        host.call(lambda: None)
        host.do(host.protection.agreed(other.address))
    return hosts


def listen(host: ProtectedHost, address: str) -> socket.socket:
    made = host.call(lambda: socket.create_server((address, 0)))
    made.settimeout(60)
    return made


def connected(hosts: tuple[ProtectedHost, ProtectedHost], net: int = 11) -> tuple[socket.socket, socket.socket]:
    server = listen(hosts[1], f"10.{net}.0.2")
    client = hosts[0].call(lambda: socket.socket())
    client.settimeout(60)
    client.connect(server.getsockname())
    other, _ = server.accept()
    other.settimeout(60)
    server.close()
    return client, other


def wire(host: ProtectedHost) -> socket.socket:
    """All frames on the line at this host."""
    made = host.call(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.ntohs(3)))
    made.bind(("eth0", 0))
    made.settimeout(0.2)
    return made


def heard(line: socket.socket) -> bytes:
    found = b""
    try:
        while True:
            found += line.recv(1 << 17)
    except TimeoutError:
        return found


def transfer(client: socket.socket, other: socket.socket, size: int) -> bytes:
    data = os.urandom(1 << 16) * (size >> 16)
    sender = threading.Thread(target=client.sendall, args=(data,))
    sender.start()
    got = bytearray()
    while len(got) < len(data):
        got += other.recv(1 << 20)
    sender.join()
    assert bytes(got) == data
    return bytes(got)


def test_what_goes_between_hosts_is_sealed(protected) -> None:
    line = wire(protected[1])
    client, other = connected(protected)
    client.sendall(SECRET)
    assert other.recv(100) == SECRET
    sealed = heard(line)
    assert sealed
    assert SECRET not in sealed
    client, other = connected(protected, net=10)
    client.sendall(SECRET)
    assert other.recv(100) == SECRET
    assert SECRET in heard(line), "of a network that is not encrypted it is read on the line"


def test_bulk_in_both_directions_and_new_keys_meanwhile(protected) -> None:
    client, other = connected(protected)
    for _ in range(4):
        for host in protected:
            host.loop.call_soon_threadsafe(host.protection.renew)
        transfer(client, other, 8 << 20)
        transfer(other, client, 8 << 20)
    counted = protected[0].call(lambda: Path("/proc/thread-self/net/snmp").read_text())
    shown = dict(zip(*(line.split() for line in counted.splitlines() if line.startswith("Tcp:")), strict=True))
    assert int(shown["RetransSegs"]) < 500, "of 25,000; a slow host's full queues lose some, new keys none"


def test_nothing_leaves_in_the_clear_without_keys(hosts) -> None:
    hosts[0].protect()
    line = wire(hosts[1])
    datagram = hosts[0].call(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    hosts[0].call(
        lambda: subprocess.run(
            ["ip", "neigh", "replace", "10.11.0.2", "lladdr", "02:00:00:00:00:99", "dev", "secret"], check=True
        )
    )
    datagram.sendto(SECRET, ("10.11.0.2", 9))
    assert SECRET not in heard(line)


def test_what_comes_in_the_clear_is_dropped(hosts) -> None:
    """The sender does not protect what it sends; the receiver does."""
    hosts[1].protect()
    server = hosts[1].call(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    server.bind(("10.11.0.2", 7000))
    server.settimeout(0.5)
    datagram = hosts[0].call(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    mac = hosts[1].call(lambda: Path("/proc/thread-self/net/arp").read_text() and _mac("secret"))
    hosts[0].call(
        lambda: subprocess.run(["ip", "neigh", "replace", "10.11.0.2", "lladdr", mac, "dev", "secret"], check=True)
    )
    datagram.sendto(SECRET, ("10.11.0.2", 7000))
    with pytest.raises(TimeoutError):
        server.recv(100)


def _mac(name: str) -> str:
    shown = subprocess.run(["ip", "-br", "link", "show", name], check=True, capture_output=True, text=True)
    return shown.stdout.split()[2]


def test_a_killed_tunnel_is_replaced_and_connections_go_on(protected) -> None:
    client, other = connected(protected)
    transfer(client, other, 1 << 20)
    child = protected[1].tunnel._child
    assert child is not None
    os.kill(child.pid, signal.SIGKILL)
    transfer(client, other, 1 << 20)
    transfer(other, client, 1 << 20)
    assert protected[1].tunnel._child is not child


def test_the_tunnel_outlives_the_service(protected) -> None:
    client, other = connected(protected)
    transfer(client, other, 1 << 20)
    host, peer = protected
    child = host.tunnel._child
    host.call(host.protection.close)
    transfer(client, other, 1 << 20)
    host.protect()
    host.loop.call_soon_threadsafe(host.protection.peers, {peer.address})
    transfer(other, client, 1 << 20)
    assert child is not None
    assert child.poll() is None
    assert host.tunnel._child is None, "it was found, not started"


def test_a_peer_that_is_none_any_more_is_not_heard(protected) -> None:
    client, other = connected(protected)
    transfer(client, other, 1 << 20)
    protected[1].loop.call_soon_threadsafe(protected[1].protection.peers, set())
    protected[1].do(protected[1].tunnel.forget(protected[0].address))
    client.sendall(SECRET)
    other.settimeout(0.5)
    with pytest.raises(TimeoutError):
        other.recv(100)
