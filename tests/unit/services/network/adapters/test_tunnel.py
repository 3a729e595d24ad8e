"""The service's side of the encrypted tunnel; what passes through it is in tests/integration/services/network."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import signal
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from services.network.adapters import tunnel
from services.network.adapters.tunnel import Tunnel
from shared.errors import FailedPrecondition
from tests.support.host_network import own_host

HOST, PEER = "10.9.0.1", "10.9.0.2"


@pytest.fixture
def host() -> Iterator[None]:
    with own_host():
        subprocess.run(["ip", "link", "add", "eth0", "type", "veth", "peer", "name", "other"], check=True)
        subprocess.run(["ip", "addr", "add", f"{HOST}/24", "dev", "eth0"], check=True)
        subprocess.run(["ip", "link", "set", "eth0", "mtu", "1400", "up"], check=True)
        yield


def shown(*words: str) -> str:
    return subprocess.run(["ip", *words], check=True, capture_output=True, text=True).stdout


def new(folder: Path) -> Tunnel:
    return Tunnel(folder, "tunnel0", lambda: ipaddress.ip_address(HOST), "shoal_test")


@pytest.fixture
async def opened(host: None, tmp_path: Path) -> AsyncIterator[Tunnel]:
    made = new(tmp_path)
    assert not await made.open()
    yield made
    await made.end()


async def test_keys_are_given_and_taken(opened: Tunnel) -> None:
    await opened.receive(PEER, 300, bytes(36))
    await asyncio.gather(*(opened.send(PEER, spi, bytes(36), whole=False) for spi in range(300, 340)))
    with pytest.raises(FailedPrecondition, match="36 bytes"):
        await opened.send(PEER, 1, b"short", whole=True)
    with pytest.raises(FailedPrecondition):
        await opened.receive("nobody", 1, bytes(36))
    await opened.forget(PEER)


async def test_packets_are_led_to_the_device_and_kept_from_elsewhere(opened: Tunnel) -> None:
    way = shown("route", "get", PEER, "ipproto", "udp", "dport", str(tunnel.CARRIED))
    assert "dev tunnel0" in way
    assert tunnel._mtu(ipaddress.ip_address(HOST)) == 1400
    assert tunnel._mtu(ipaddress.ip_address("10.99.0.1")) == 1500


async def test_the_next_service_finds_the_tunnel(opened: Tunnel, tmp_path: Path) -> None:
    await opened.receive(PEER, 300, bytes(36))
    child = opened._child
    opened.close()
    later = new(tmp_path)
    assert await later.open(), "it has its keys"
    await later.forget(PEER)
    later.close()
    assert child is not None
    assert child.wait(20) == 0, "without keys and service it ends"
    assert "tunnel0" not in [name for _, name in socket.if_nameindex()]


async def test_a_death_is_told_and_mended(opened: Tunnel) -> None:
    died = asyncio.Event()
    opened.lost = died.set
    assert opened._child is not None
    os.kill(opened._child.pid, signal.SIGKILL)
    await asyncio.wait_for(died.wait(), 20)
    with pytest.raises(FailedPrecondition):
        await opened.receive(PEER, 300, bytes(36))
    assert not await opened.open()
    await opened.receive(PEER, 300, bytes(36))


async def test_a_port_that_is_taken_is_said(host: None, tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind((HOST, tunnel.PORT))
        with pytest.raises(FailedPrecondition, match="in use"):
            await new(tmp_path).open()


async def test_what_was_set_up_is_taken_away(opened: Tunnel) -> None:
    assert str(tunnel.TABLE) in shown("rule")
    await opened.receive(PEER, 300, bytes(36))
    for _ in range(2):
        await opened.end()
    assert "tunnel0" not in [name for _, name in socket.if_nameindex()]
    assert str(tunnel.TABLE) not in shown("rule")
