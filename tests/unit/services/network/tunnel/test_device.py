"""The kernel's side of the tunnel."""

from __future__ import annotations

import os
import socket

from services.network.tunnel import device
from tests.support.host_network import own_host


def test_a_device_is_there_as_long_as_its_descriptor() -> None:
    with own_host():
        descriptor = device.open_tap("tap0")
        assert socket.if_nametoindex("tap0") > 0
        assert device.offload(descriptor, tunnelled=False) is False
        device.offload(descriptor, tunnelled=True)  # as the kernel can
        os.close(descriptor)
        assert "tap0" not in [name for _, name in socket.if_nameindex()]


def test_a_burst_goes_in_one_call_and_is_told_apart() -> None:
    with own_host():
        one, two = device.open_udp("127.0.0.1", 7001), device.open_udp("127.0.0.1", 7002)
        one.sendmsg([b"a" * 100, b"b" * 50], device.segments(100), 0, ("127.0.0.1", 7002))
        two.setblocking(True)
        two.settimeout(10)
        data, control, _, _ = two.recvmsg(1 << 16, 64)
        if len(data) == 100:  # a kernel that does not put them together again
            data += two.recv(1 << 16)
        assert data == b"a" * 100 + b"b" * 50
        assert device.segment_size(control, len(data)) in (100, 150)
        one.close()
        two.close()


def test_what_came_alone_is_one_datagram() -> None:
    assert device.segment_size([], 77) == 77
    assert device.segment_size([(device.SOL_UDP, device.UDP_GRO, (1472).to_bytes(4, "little"))], 9000) == 1472
