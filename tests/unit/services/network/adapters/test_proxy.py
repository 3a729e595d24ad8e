"""The userland proxy as the service has it."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path

import pytest

from services.network.adapters import proxy as adapter
from services.network.adapters.proxy import Proxy
from tests.support.waiting import until


def listening() -> socket.socket:
    made = socket.create_server(("::1", 0), family=socket.AF_INET6)
    made.setblocking(False)
    return made


def free(address: tuple[str, int]) -> bool:
    """Whether nobody holds a port."""
    with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as trial:
        try:
            trial.bind(address)
        except OSError:
            return False
        return True


async def test_what_is_held_is_found_by_the_next(proxy: Proxy, directory: Path) -> None:
    with listening() as held, listening() as forgotten:
        address, other = held.getsockname(), forgotten.getsockname()
        proxy.hold("a", (held,))
        proxy.hold("b", (forgotten,))
    proxy.close()
    successor = Proxy(directory)
    successor.open()
    [found] = successor.found("a")
    assert found.getsockname() == address
    assert successor.found("a") == []
    successor.sweep()
    assert successor.settle()
    assert free(other)
    successor.hold("a", (found,))
    assert not successor.settle()
    successor.hold("a", (found,), ("tcp", "::1", 1))
    assert successor.settle()
    successor.drop("a")
    await successor.settled()
    assert not successor.settle()
    found.close()
    assert free(address)
    successor.close()


async def test_without_one_there_is_nothing_to_take_over(proxy: Proxy) -> None:
    proxy.open()
    assert proxy.found("a") == []
    proxy.sweep()
    proxy.drop("a")
    assert not proxy.settle()


async def test_a_proxy_that_dies_is_replaced_with_all_it_had(proxy: Proxy, directory: Path) -> None:
    with listening() as held:
        proxy.hold("a", (held,))
        first = proxy._pid
        os.kill(first, signal.SIGKILL)
        proxy.drop("a")
        proxy.settle()
        proxy.hold("a", (held,))
        assert proxy._pid != first
        proxy.close()
        successor = Proxy(directory)
        successor.open()
        [found] = successor.found("a")
        assert found.getsockname() == held.getsockname()
        found.close()
        successor.close()


async def test_a_proxy_that_keeps_nothing_ends_and_another_is_there_when_it_is_needed(
    proxy: Proxy, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapter, "IDLE", 0.01)
    with listening() as held:
        proxy.hold("a", (held,))
        first = proxy._pid
        proxy.drop("a")
        await until(lambda: proxy._connection is None)
        assert not Path(f"/proc/{first}").exists()
        proxy.hold("a", (held,))
        assert proxy._pid != first
        proxy.close()
        successor = Proxy(directory)
        successor.open()
        [found] = successor.found("a")
        assert found.getsockname() == held.getsockname()
        found.close()
        successor.close()


async def test_a_proxy_that_hangs_is_killed(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapter, "PATIENCE", 1.0)
    with listening() as held:
        proxy.hold("a", (held,))
        proxy.hold("b", (held,))
        assert not proxy.settle()
        first = proxy._pid
        os.kill(first, signal.SIGSTOP)
        proxy.drop("b")
        proxy.settle()
        assert proxy._pid != first
        assert not Path(f"/proc/{first}").exists()
        proxy.drop("a")
        assert proxy.settle()
