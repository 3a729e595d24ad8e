"""Packets between device and socket: two relays, with pipes for their devices and a real socket between them."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from services.network.tunnel import device, relay
from services.network.tunnel.relay import Relay, Source, Way
from services.network.tunnel.session import Inbound, Outbound

CARRIED = 4790
OURS, THEIRS = b"\x7f\0\0\1", b"\x7f\0\0\2"


class End:
    """A relay whose device is a socket pair that keeps packets apart, as a TAP device does."""

    def __init__(self, address: str, port: int) -> None:
        self.kernel, self.device = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.device.setblocking(False)
        self.kernel.setblocking(False)
        self.udp = device.open_udp(address, 0)
        self.relay = Relay(self.device.fileno(), self.udp, socket.inet_aton(address), port)

    def close(self) -> None:
        for each in (self.kernel, self.device, self.udp):
            each.close()

    def told(self) -> bytes:
        try:
            return self.kernel.recv(1 << 17)
        except BlockingIOError:
            return b""


@pytest.fixture
def ends() -> Iterator[tuple[End, End]]:
    one, two = End("127.0.0.1", CARRIED), End("127.0.0.2", CARRIED)
    one.relay.ways[THEIRS] = Way(Outbound(300, bytes(36)), two.udp.getsockname(), 1472)
    two.relay.sources[300] = Source(Inbound(300, bytes(36)), OURS)
    yield one, two
    one.close()
    two.close()


def packet(source: bytes = OURS, to: bytes = THEIRS, port: int = CARRIED, size: int = 100, protocol: int = 17) -> bytes:
    ip = b"\x45\0\0\0\0\0\0\0\x40" + bytes([protocol]) + b"\0\0" + source + to
    udp = b"\0\1" + port.to_bytes(2) + bytes(4)
    return bytes(device.VNET_HEADER) + bytes(12) + b"\x08\0" + ip + udp + os.urandom(size)


def carry(ends: tuple[End, End], data: bytes) -> bytes:
    ends[0].kernel.send(data)
    ends[0].relay.from_device()
    ends[1].relay.from_peers()
    return ends[1].told()


@pytest.mark.parametrize("size", [0, 100, 1400, 1500, 30_000])
def test_a_packet_comes_out_as_it_went_in(ends, size: int) -> None:
    used: list[int] = []
    ends[1].relay.used = used.append
    data = packet(size=size)
    assert carry(ends, data) == data
    assert carry(ends, data) == data, "the same again, sealed anew"
    assert used == [300]


def test_without_keys_nothing_is_sent(ends) -> None:
    assert carry(ends, packet(to=b"\x0a\0\0\1")) == b""


@pytest.mark.parametrize(
    "data",
    [
        packet(source=b"\x0a\0\0\1"),
        packet(to=THEIRS, port=22),
        packet(to=THEIRS, protocol=6),
        packet()[:60],
        bytes(device.VNET_HEADER) + bytes(12) + b"\x86\xdd" + packet()[device.VNET_HEADER + 14 :],
    ],
)
def test_a_peer_brings_in_nothing_but_its_own_vxlan(ends, data: bytes) -> None:
    assert carry(ends, data) == b""


def test_what_is_not_for_this_host_is_not_taken(ends) -> None:
    ends[0].relay.ways[b"\x7f\0\0\3"] = ends[0].relay.ways[THEIRS]
    assert carry(ends, packet(to=b"\x7f\0\0\3")) == b""


def test_noise_from_the_network_is_borne(ends) -> None:
    place = ends[1].udp.getsockname()
    for noise in (b"", b"x", bytes(16), bytes(17), (300).to_bytes(4) + bytes(8), (300).to_bytes(4) + os.urandom(900)):
        ends[0].udp.sendto(noise, place)
    ends[1].relay.from_peers()
    assert ends[1].told() == b""
    data = packet()
    assert carry(ends, data) == data


def test_worn_keys_are_told_once(ends, monkeypatch) -> None:
    monkeypatch.setattr(relay, "MOST_OCTETS", 300)
    worn: list[bytes] = []
    ends[0].relay.worn = worn.append
    for _ in range(4):
        assert carry(ends, packet(size=100))
    assert worn == [THEIRS]


def test_ipv6_between_hosts() -> None:
    one, two = End("127.0.0.1", CARRIED), End("127.0.0.2", CARRIED)
    a, b = bytes(15) + b"\1", bytes(15) + b"\2"
    one.relay._own, two.relay._own = a, b
    one.relay.ways[b] = Way(Outbound(300, bytes(36)), two.udp.getsockname(), 1452)
    two.relay.sources[300] = Source(Inbound(300, bytes(36)), a)
    udp = b"\0\1" + CARRIED.to_bytes(2) + bytes(4)
    head = bytes(device.VNET_HEADER) + bytes(12) + b"\x86\xdd"
    data = head + b"\x60" + bytes(5) + b"\x11\x40" + a + b + udp + b"payload"
    assert carry((one, two), data) == data
    assert carry((one, two), data.replace(a, bytes(15) + b"\3", 1)) == b""
    one.close()
    two.close()
