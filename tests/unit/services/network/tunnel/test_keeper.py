"""The keys that the tunnel has."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterator

import pytest

from services.network.proxy.poller import Poller
from services.network.tunnel import device, keeper, messages
from services.network.tunnel.keeper import Keeper
from services.network.tunnel.messages import Message
from services.network.tunnel.relay import Relay

PEER, PACKED = "10.9.0.2", ipaddress.ip_address("10.9.0.2").packed


class Tunnel:
    def __init__(self, folder) -> None:
        self.poller = Poller()
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.listener.bind(str(folder / "sock"))
        self.listener.listen(1)
        self.service, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.tap, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.relay = Relay(self.tap.fileno(), other, b"\x0a\x09\0\1", 4790)
        self.keeper = Keeper(self.poller, self.relay, self.listener, theirs, Message(messages.READY, whole=True), 4791)

    def turn(self) -> None:
        for descriptor, events in self.poller._epoll.poll(0):
            self.poller._ready[descriptor](events)

    def say(self, verb: str, spi: int = 0, **more) -> Message:
        self.service.send(Message(verb, 5, PEER, spi, "01" * 36, **more).encode())
        self.turn()
        return self.heard()

    def heard(self) -> Message:
        self.service.settimeout(5)
        return messages.decode(self.service.recv(messages.LONGEST))


@pytest.fixture
def tunnel(tmp_path, monkeypatch) -> Iterator[Tunnel]:
    offloads: list[bool] = []
    monkeypatch.setattr(device, "offload", lambda _, *, tunnelled: offloads.append(tunnelled))
    made = Tunnel(tmp_path)
    made.offloads = offloads  # type: ignore[attr-defined]
    assert made.heard() == Message(messages.READY, whole=True)
    yield made
    made.service.close()
    made.listener.close()


def test_keys_are_kept_and_answered(tunnel) -> None:
    assert tunnel.say(messages.RECEIVE, 300) == Message(messages.DONE, 5)
    assert tunnel.relay.sources[300].address == PACKED
    assert tunnel.say(messages.SEND, 400, whole=True).verb == messages.DONE
    way = tunnel.relay.ways[PACKED]
    assert (way.outbound.spi, way.place, way.datagram) == (400, (PEER, 4791), 1472)
    assert tunnel.say(messages.FORGET).verb == messages.DONE
    assert not tunnel.relay.ways
    assert not tunnel.relay.sources


def test_what_makes_no_sense_is_answered(tunnel) -> None:
    assert tunnel.say("dance").verb == messages.FAILED
    for verb in (messages.SEND, messages.RECEIVE):
        tunnel.service.send(Message(verb, 7, "", 1, "01" * 36).encode())
        tunnel.turn()
        assert tunnel.heard().verb == messages.FAILED
    tunnel.service.send(Message(messages.SEND, 6, PEER, 1, "ff").encode())
    tunnel.turn()
    assert tunnel.heard().verb == messages.FAILED
    assert not tunnel.relay.ways


def test_packets_go_whole_only_if_all_peers_take_them_so(tunnel) -> None:
    tunnel.say(messages.SEND, 400, whole=True)
    tunnel.say(messages.SEND, 401, whole=False)
    tunnel.say(messages.FORGET)
    assert tunnel.offloads == [True, False, True]


def test_earlier_keys_go_some_time_after_later_ones_are_used(tunnel, monkeypatch) -> None:
    monkeypatch.setattr(keeper, "OVERLAP", 0.0)
    for spi in (300, 301, 302):
        tunnel.say(messages.RECEIVE, spi)
    tunnel.relay.sources[301].used = True
    tunnel.relay.used(301)
    tunnel.poller._call_due()
    assert sorted(tunnel.relay.sources) == [301, 302]


def test_keys_that_are_never_used_do_not_gather(tunnel) -> None:
    for spi in range(300, 330):
        tunnel.say(messages.RECEIVE, spi)
        tunnel.relay.sources[300].used = True
    assert len(tunnel.relay.sources) == keeper.MOST_UNUSED + 1
    assert 300 in tunnel.relay.sources, "the one in use stays"


def test_it_goes_on_without_a_service_while_it_has_keys(tunnel, tmp_path) -> None:
    tunnel.say(messages.RECEIVE, 300)
    tunnel.service.close()
    tunnel.turn()
    assert tunnel.poller._running
    tunnel.service = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    tunnel.service.connect(str(tmp_path / "sock"))
    tunnel.turn()
    assert tunnel.heard().verb == messages.READY
    tunnel.service.send(Message(messages.FORGET, 8).encode())
    tunnel.turn()
    assert tunnel.heard() == Message(messages.DONE, 8), "of all peers"
    tunnel.service.close()
    tunnel.turn()
    assert not tunnel.poller._running
