"""The real volume service on in-memory twins, to be killed and started again at will."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from services.volume.service import VolumeService
from shared import testing
from shared.bus import Bus, MemoryBroker
from shared.contracts import volume
from shared.contracts.common import DockerEvent
from shared.contracts.volume import MountReply, VolumeSpec
from shared.state import MemoryState
from tests.support.mounts import mounts_below, unmount_below


class VolumeWorld:
    """Broker, store and folders outlive the service; `crash` leaves them as SIGKILL would."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.broker = MemoryBroker()
        self.state = MemoryState("volume")
        self.bus: Bus
        self.events: asyncio.Queue[DockerEvent] = asyncio.Queue()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """The service runs; it has nothing to close, so its end is that of a killed one."""
        async with testing.kernel("volume", self.directory, self.broker, self.state) as kernel:
            self.bus = kernel.bus
            service = VolumeService(kernel)
            await service.start()
            await kernel.bus.listen(volume.VOLUME_EVENT, self.events.put)
            async with testing.serving(kernel, volume.CONTRACT, service):
                yield

    async def create(self, name: str = "", **fields: object) -> VolumeSpec:
        wanted = volume.CreateRequest(**{"name": name, **fields})  # type: ignore[arg-type]
        return await self.bus.call(volume.CREATE, wanted)

    async def mount(self, name: str, user: str = "c1", subpath: str = "") -> MountReply:
        return await self.bus.call(volume.MOUNT, volume.MountRequest(name=name, user=user, subpath=subpath))

    async def unmount(self, name: str = "", user: str = "c1") -> None:
        await self.bus.call(volume.UNMOUNT, volume.UnmountRequest(name=name, user=user))

    async def remove(self, name: str, **fields: object) -> None:
        wanted = volume.RemoveRequest(**{"name": name, **fields})  # type: ignore[arg-type]
        await self.bus.call(volume.REMOVE, wanted)

    async def names(self, **filters: str) -> list[str]:
        wanted = volume.ListRequest(filters={key: (value,) for key, value in filters.items()})
        return [spec.name for spec in (await self.bus.call(volume.LIST, wanted)).volumes]

    def data(self, name: str) -> Path:
        return self.directory / "state" / "volumes" / name / "_data"

    def mounted(self) -> list[str]:
        """What is mounted besides the folders that propagate mounts."""
        shared = {str(self.directory / "run"), str(self.directory / "state" / "volumes")}
        return [point for point in mounts_below(self.directory) if point not in shared]

    def sweep(self) -> None:
        unmount_below(self.directory)
