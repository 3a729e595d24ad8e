"""The embedded DNS server's sockets."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.network.adapters import dns_sockets, namespaces

pytestmark = pytest.mark.usefixtures("host_network")


@pytest.fixture
def path(host_network: None, tmp_path: Path) -> Iterator[Path]:
    made = tmp_path / "ns"
    namespace = namespaces.create()
    namespace.pin(made)
    namespace.close()
    yield made
    namespaces.unpin(made)


def client(kind: socket.SocketKind) -> socket.socket:
    made = socket.socket(socket.AF_INET, kind)
    made.settimeout(60)
    return made


def test_port_53_leads_to_the_server_and_stays_free_for_the_container(path: Path) -> None:
    sockets = dns_sockets.open_in(path)
    own = namespaces.inside(path, lambda: client(socket.SOCK_DGRAM))
    own.bind(("0.0.0.0", 53))
    asker = namespaces.inside(path, lambda: client(socket.SOCK_DGRAM))
    asker.connect(("127.0.0.11", 53))
    asker.send(b"question")
    sockets.datagrams.setblocking(True)
    question, address = sockets.datagrams.recvfrom(100)
    sockets.datagrams.sendto(question.upper(), address)
    assert asker.recv(100) == b"QUESTION"
    stream = namespaces.inside(path, lambda: client(socket.SOCK_STREAM))
    stream.connect(("127.0.0.11", 53))
    for each in (sockets, own, asker, stream):
        each.close()


def test_after_a_restart_the_rule_is_still_there(path: Path) -> None:
    dns_sockets.open_in(path).close()
    sockets = dns_sockets.open_again(path)
    asker = namespaces.inside(path, lambda: client(socket.SOCK_STREAM))
    asker.connect(("127.0.0.11", 53))
    asker.close()
    with pytest.raises(OSError, match="in use"):
        dns_sockets.open_again(path)
    sockets.close()
