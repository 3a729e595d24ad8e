"""What the tunnel does with packets: device to socket sealed, socket to device opened."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from . import device, frame
from .session import TAG_BYTES, Inbound, Outbound

ROUND = 64
"""Packets of one direction that are carried before the other has its turn."""
MOST_OCTETS = 1 << 40
"""Bytes sealed under one key: far fewer than GCM bears (NIST SP 800-38D), so that nobody has to hurry."""
_UNSENT = (errno.EAGAIN, errno.ENOBUFS, errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EPERM)
"""A datagram that the host cannot send now is lost, as on any full queue."""


_IPV4, _IPV6 = b"\x08\x00", b"\x86\xdd"


@dataclass
class Way:
    """How a peer is reached: under which keys, and in datagrams of how many bytes."""

    outbound: Outbound
    place: tuple[Any, ...]
    datagram: int
    worn: bool = False


@dataclass
class Source:
    """Whose packets come under a security parameter index."""

    inbound: Inbound
    address: bytes
    used: bool = False


class Relay:
    """Packets between the TAP device and the peers. `own`: this host's address; `port`: the only one carried (UDP)."""

    def __init__(self, tap: int, udp: socket.socket, own: bytes, port: int) -> None:
        self.tap, self._udp = tap, udp
        self._own, self._port = own, port.to_bytes(2, "big")
        self.ways: dict[bytes, Way] = {}
        """By the peer's address, packed."""
        self.sources: dict[int, Source] = {}
        self.used: Callable[[int], object] = lambda spi: None
        """Told when a peer first uses keys."""
        self.worn: Callable[[bytes], object] = lambda peer: None
        """Told once when the keys for a peer should be replaced; they go on until then."""
        self._clear = memoryview(bytearray(device.LONGEST))
        self._sealed = memoryview(bytearray(device.LONGEST + TAG_BYTES))
        self._received = memoryview(bytearray(1 << 16))
        self._opened = memoryview(bytearray(device.LONGEST))

    def from_device(self) -> None:
        """Seals and sends what the kernel has for peers; without keys for them it is lost, never sent as it is."""
        tap, clear = self.tap, self._clear
        for _ in range(ROUND):
            try:
                length = os.readv(tap, [clear])
            except OSError as error:
                if error.errno in (errno.EAGAIN, errno.EIO, errno.EBADFD):
                    return  # nothing more, or the device is down
                raise
            way = self.ways.get(_destination(clear))
            if way is not None:
                self._send(way, clear[:length])

    def _send(self, way: Way, message: memoryview) -> None:
        sequence, sealed = way.outbound.seal(message, self._sealed)
        if way.outbound.octets > MOST_OCTETS and not way.worn:
            way.worn = True
            self.worn(_destination(message))
        for parts, size in frame.cut(way.outbound.spi, sequence, sealed, way.datagram):
            control = device.segments(size) if len(parts) > 2 else []
            try:
                self._udp.sendmsg(parts, control, 0, way.place)
            except OSError as error:
                if error.errno in _UNSENT:
                    return
                self._send_singly(way, parts)

    def _send_singly(self, way: Way, parts: list[bytes | memoryview]) -> None:
        """Where the network device cannot sum up checksums, the kernel refuses to cut (EIO)."""
        for at in range(0, len(parts), 2):
            try:
                self._udp.sendmsg(parts[at : at + 2], [], 0, way.place)
            except OSError:
                return

    def from_peers(self) -> None:
        """Opens what has come, and gives it to the kernel as received by the device."""
        received = self._received
        for _ in range(ROUND):
            try:
                length, control, _, _ = self._udp.recvmsg_into([received], 64)
            except OSError as error:
                if error.errno == errno.EAGAIN:
                    return
                continue  # what a router said of a datagram sent before
            if length <= frame.ROOM:
                continue
            source = self.sources.get(int.from_bytes(received[:4], "big"))
            if source is not None:
                self._open(source, received[:length], device.segment_size(control, length))

    def _open(self, source: Source, data: memoryview, size: int) -> None:
        for sequence, sealed in source.inbound.joiner.add(data, size):
            length = source.inbound.open(sequence, sealed, self._opened)
            if length and self._proper(source, length):
                if not source.used:
                    source.used = True
                    self.used(int.from_bytes(data[:4], "big"))
                try:
                    os.writev(self.tap, [self._opened[:length]])
                except OSError:
                    continue  # the kernel refuses the packet or has no room: lost

    def _proper(self, source: Source, length: int) -> bool:
        """Whether an opened message is a VXLAN packet from this peer to this host: nothing else may come in by it."""
        frame_ = self._opened[device.VNET_HEADER : length]
        packet = frame_[device.ETHERNET :]
        if len(self._own) == 4:
            fits = (
                len(packet) >= 28 and frame_[12:14] == _IPV4 and packet[0] == 0x45 and packet[9] == socket.IPPROTO_UDP
            )
            return (
                fits and packet[12:16] == source.address and packet[16:20] == self._own and packet[22:24] == self._port
            )
        fits = len(packet) >= 48 and frame_[12:14] == _IPV6 and packet[6] == socket.IPPROTO_UDP
        return fits and packet[8:24] == source.address and packet[24:40] == self._own and packet[42:44] == self._port


def _destination(message: memoryview) -> bytes:
    """The peer that a packet of the device is for, packed."""
    at = device.VNET_HEADER + device.ETHERNET
    return bytes(message[at + 16 : at + 20] if message[at] >> 4 == 4 else message[at + 24 : at + 40])
