"""A container as the running executor holds it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from shared.contracts.common import Mount
from shared.contracts.container import ContainerSpec, ContainerStatus
from shared.errors import ShoalError, from_kind

from .domain import lifecycle


class ContainerLock(asyncio.Lock):
    """A lock that may be closed for good while it is held: who waits for it, or comes later, gets an error instead."""

    def __init__(self) -> None:
        super().__init__()
        self._closed: ShoalError | None = None

    def close(self, error: ShoalError) -> None:
        """Whoever holds it calls this, and gives it up with that."""
        self._closed = error
        self.release()

    async def acquire(self) -> Literal[True]:
        await super().acquire()
        if self._closed is not None:
            self.release()
            raise from_kind(self._closed.kind, self._closed.message, self._closed.details)
        return True


@dataclass(eq=False)
class Container:
    """Records and what belongs to the present run. Whoever changes it holds `lock`; reading needs none."""

    spec: ContainerSpec
    status: ContainerStatus = field(default_factory=ContainerStatus)
    spec_revision: int = 0
    status_revision: int = 0
    lock: ContainerLock = field(default_factory=ContainerLock)
    rootfs: tuple[Mount, ...] = ()
    """Mounts of the snapshot, once they are known."""
    untouched: bool = False
    """Made by this process and never begun to start: nothing of it but its snapshot and volumes can be there."""
    removing: bool = False
    """A removal has begun: nobody may start it."""
    kept: bool = False
    """Being restarted by a client: `--rm` must not remove it in between."""
    retry: asyncio.Task[None] | None = None
    """The wait before the policy's next start."""
    held_for: str = ""
    """The migration for which its lock is held."""
    holds: int = 0
    """Works at present for which it is held (paused by the engine)."""
    showing: bool = False
    """Its live execs are about to be written down."""
    probing: asyncio.Task[None] | None = None
    """Its health check: waits for the next probe, or probes."""
    probe: str = ""
    """The exec that runs its health check just now."""
    cleanup: asyncio.Task[None] | None = None
    """What gives back the things of the last run."""
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def id(self) -> str:
        return self.spec.id

    @property
    def running(self) -> bool:
        return self.status.state in lifecycle.RUNNING

    def become(self, status: ContainerStatus) -> None:
        """Takes over a status and wakes who waits for one."""
        self.status = status
        self._changed.set()
        self._changed = asyncio.Event()

    async def until(self, condition: Callable[[ContainerStatus], bool], timeout: float | None) -> bool:
        """Whether the status came to fulfil the condition in time; `timeout` in seconds, None: for ever."""
        try:
            async with asyncio.timeout(timeout):
                while not condition(self.status):
                    await self._changed.wait()
        except TimeoutError:
            return False
        return True

    async def clean(self) -> None:
        """Returns when nothing of the last run is on the host."""
        if self.cleanup is not None:
            await asyncio.shield(self.cleanup)

    async def down(self, timeout: float | None) -> bool:
        """Whether it stopped running in time."""
        return await self.until(lambda status: status.state not in lifecycle.RUNNING, timeout)
