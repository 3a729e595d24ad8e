"""The drivers that join the bridges of a network on several hosts: `overlay` here, others by the contract."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Protocol

from shared.bus import Bus
from shared.contracts import network_driver
from shared.contracts.base import Empty
from shared.contracts.network_driver import CheckRequest, JoinRequest, LeaveRequest, PeersRequest
from shared.errors import DeadlineExceeded, NotFound, Unavailable

from .adapters.vxlan import Secrecy, VxlanDriver

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}\Z")
_PRESENCE = 1.0
"""Seconds within which a driver says whether it takes a network."""


class Uplink(Protocol):
    """The contract `network_driver`."""

    async def check(self, request: CheckRequest) -> Empty: ...

    async def join(self, request: JoinRequest) -> Empty: ...

    async def leave(self, request: LeaveRequest) -> Empty: ...

    async def peers(self, request: PeersRequest) -> Empty: ...


class Remote:
    """A driver that another process serves on this host."""

    def __init__(self, bus: Bus, name: str) -> None:
        self._bus, self._place = bus, f"{bus.node}-{name}"

    async def check(self, request: CheckRequest) -> Empty:
        return await self._bus.call(network_driver.CHECK, request, self._place, timeout=_PRESENCE)

    async def join(self, request: JoinRequest) -> Empty:
        return await self._bus.call(network_driver.JOIN, request, self._place)

    async def leave(self, request: LeaveRequest) -> Empty:
        return await self._bus.call(network_driver.LEAVE, request, self._place)

    async def peers(self, request: PeersRequest) -> Empty:
        return await self._bus.call(network_driver.PEERS, request, self._place)


class Uplinks:
    """All of them, by name."""

    def __init__(self, bus: Bus, secrecy: Secrecy) -> None:
        self._bus = bus
        self._overlay = VxlanDriver(secrecy)

    def close(self) -> None:
        self._overlay.close()

    async def sweep(self) -> None:
        """All networks that this host has are joined: nothing stays that only others would need."""
        await self._overlay.sweep()

    def on_restart(self, callback: Callable[[], None]) -> None:
        """Calls back when a driver of another process begins to serve: it may know nothing of what was asked before."""
        self._bus.on_started(network_driver.CONTRACT.name, callback)

    @staticmethod
    def foreign(driver: str) -> bool:
        """Whether another process serves it."""
        return driver != "overlay"

    def _of(self, driver: str) -> Uplink:
        return self._overlay if driver == "overlay" else Remote(self._bus, driver)

    async def check(self, driver: str, request: CheckRequest) -> None:
        """Raises `NotFound` where this host has no such driver, and what the driver says of the options."""
        unknown = NotFound(f'plugin "{driver}" not found')
        if not _NAME.match(driver):
            raise unknown
        try:
            await self._of(driver).check(request)
        except (Unavailable, DeadlineExceeded):
            raise unknown from None

    async def join(self, driver: str, request: JoinRequest) -> None:
        await self._of(driver).join(request)

    async def leave(self, driver: str, request: LeaveRequest) -> None:
        await self._of(driver).leave(request)

    async def peers(self, driver: str, request: PeersRequest) -> None:
        await self._of(driver).peers(request)
