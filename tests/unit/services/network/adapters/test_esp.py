"""Encrypted networks by the kernel's IPsec, as far as any kernel goes; with ESP: `python -m tests.esp`."""

from __future__ import annotations

import ipaddress
import os
import subprocess
from collections.abc import AsyncIterator, Iterator

import pytest

from services.network.adapters import esp
from services.network.adapters.esp import Esp
from services.network.adapters.nftables import Nftables
from shared.errors import FailedPrecondition
from tests.support.host_network import own_host

PEER = "10.9.0.2"


@pytest.fixture
def host() -> Iterator[None]:
    with own_host():
        yield


@pytest.fixture
async def opened(host: None) -> AsyncIterator[Esp]:
    made = Esp(lambda: ipaddress.ip_address("10.9.0.1"), "shoal_test")
    assert not await made.open(), "no keys are found"
    yield made
    await made.end()


def said(*words: str) -> str:
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


def test_whether_the_kernel_has_esp_is_tried_and_leaves_nothing(host: None) -> None:
    assert esp.available() == esp.available()
    assert not said("ip", "xfrm", "state")


async def test_keys_come_and_go_or_the_kernel_says_why_not(opened: Esp) -> None:
    if esp.available():
        await opened.receive(PEER, 300, os.urandom(36))
        await opened.send(PEER, 301, os.urandom(36), whole=False)
        assert {each.spi for each in opened._ours()} == {300, 301}
        opened._prune(ipaddress.ip_address(PEER))
        assert len(list(opened._ours())) == 2, "later keys that nobody has used yet replace none"
    else:
        with pytest.raises(FailedPrecondition, match="IPsec refuses"):
            await opened.receive(PEER, 300, os.urandom(36))
    await opened.forget(PEER)
    assert not list(opened._ours())
    assert not said("ip", "xfrm", "policy")


async def test_nothing_is_left(opened: Esp) -> None:
    assert "shoal_test_encrypted" in Nftables().run("list tables")
    await opened.end()
    assert "shoal_test_encrypted" not in Nftables().run("list tables")
    with pytest.raises(FailedPrecondition):
        await opened.receive(PEER, 300, bytes(36))
