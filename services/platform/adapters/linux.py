"""The Linux adapter: its parts put together."""

from __future__ import annotations

import asyncio
import os
import time
from functools import partial

import msgspec

from shared import hostmounts
from shared.config import Settings
from shared.contracts.migration_driver import MigratableRequest, MoveFacts
from shared.contracts.platform import CreateRequest, HostInfo

from ..domain import moving
from ..domain.process import granted
from ..mover.written import told as told_what_is_written
from . import criu, facts, host, launcher, monitor, move_host, writing
from .arrivals import Arrivals
from .arriving import Maker
from .attachments import Attachments
from .cgroup import MOUNT, Cgroups
from .control import Control
from .copies import Copies
from .creation import Creator
from .departures import Departures
from .emulated import Emulated
from .execs import Execs
from .execution import Executor
from .forwarding import Forwarding
from .grace import Grace
from .launcher import Launcher
from .making import Making
from .native import Native
from .rotation import Rotation
from .runtime import Runtimes, program
from .streams import Streams
from .views import Views
from .workloads import Told, Workloads

BINFMT_MISC = ".binfmt_misc"


class Linux:
    """Workloads of this host as conmon monitors and an OCI runtime's containers."""

    def __init__(self, settings: Settings, told: Told) -> None:
        """`told` tells that the first process of a workload or exec has ended, and returns when others know."""
        run, logs = settings.run_path / "platform", settings.state_path / "platform" / "logs"
        for folder in (run / "workloads", run / "execs", launcher.roots_dir(settings), logs):
            folder.mkdir(parents=True, exist_ok=True, mode=0o710)
        hostmounts.prepare(settings)
        launcher.ensure_private(launcher.roots_dir(settings))
        self._settings = settings
        self._launcher = Launcher(launcher.is_hybrid())
        self._monitor = monitor.Program(program(settings, "conmon"))
        self._host: HostInfo | None = None
        self.cgroups, self.runtimes = Cgroups(), Runtimes(settings)
        self._grace = Grace(MOUNT)
        self.facts = facts.read(settings, self.cgroups)
        architecture = self.facts.architecture
        self._adapters = (
            Native(architecture), Emulated(architecture, launcher.roots_dir(settings) / BINFMT_MISC)
        )  # fmt: skip
        self.creator = Creator(
            run, logs, self.facts, self._monitor, self.runtimes, self.cgroups, self._adapters
        )  # fmt: skip
        self.workloads, self.attachments, self._forwarding = Workloads(told), Attachments(), Forwarding()
        self.making = Making(
            self.workloads, self._launcher, self.creator, self.runtimes, self.cgroups, self.attachments,
            self._forwarding, self._grace, settings.cgroup_parent,
        )  # fmt: skip
        executor = Executor(self._monitor)
        self.execs = Execs(run, self.facts, executor, self._launcher, self.cgroups, self.attachments)
        self.control = Control(self.workloads, self._launcher, self.execs, self.runtimes, self.cgroups)
        self.copies = Copies(Views(self.workloads, self._launcher, launcher.roots_dir(settings)), settings)
        self.streams = Streams(self.workloads, self.creator, self.attachments)
        self._rotation = Rotation(logs)
        self._criu = criu.Criu(settings)
        self.departures = Departures(
            self.workloads, self.making, self._launcher, self.cgroups, self._criu, settings, self.facts.raise_limits
        )
        maker = Maker(self.creator, self._monitor, self.runtimes, self.cgroups, self._criu, settings)
        self.arrivals = Arrivals(
            self.workloads, self.attachments, self._launcher, self.cgroups, maker, self._criu, settings
        )

    async def open(self) -> None:
        """Finds again what is there. Before the first request."""
        self._rotation.open()
        await self.making.recover()
        await self.departures.recover()
        await self.arrivals.recover()

    def check(self, request: CreateRequest) -> None:
        """Refuses what Docker refuses when a container is made: an unknown runtime, an unknown capability."""
        self.runtimes.get(request.runtime)
        granted(request.process, self.facts)

    async def host(self) -> HostInfo:
        """Facts of the host; the tools' versions are asked once."""
        if self._host is None:
            work = partial(host.read, self._settings, self.facts, self.cgroups, self.runtimes, self._monitor.path)
            self._host = await self._launcher.plain(work)
        platforms = await self._launcher.plain(lambda: [one for each in self._adapters for one in each.platforms()])
        return msgspec.structs.replace(self._host, platforms=tuple(platforms))

    async def migratable(self, request: MigratableRequest) -> MoveFacts:
        """Whether a workload can be moved from here, or this host can take from another."""
        work = partial(move_host.read, self._settings, self._criu, self.facts.architecture, self.cgroups.v2)
        here = await self._launcher.plain(work)
        reasons, memory, processes = moving.host_reasons(here), 0, 0
        if request.source is not None:
            reasons += moving.target_reasons(here, request.source)
        if request.id:
            workload = self.workloads.get(request.id)
            reasons += self.departures.reasons(workload)
            memory, processes = self.departures.memory(workload)
        written = await self._written(request.id, memory) if request.id and request.measure else None
        return MoveFacts(
            host=here, reasons=tuple(reasons), memory_bytes=memory, processes=processes, written=written, log=True,
            follows=told_what_is_written(here.kernel, os.uname().machine),
        )  # fmt: skip

    async def _written(self, name: str, memory: int) -> int:
        """Bytes a second."""
        pids = self.cgroups.processes(self.workloads.get(name).record.cgroup)
        chosen = await self._launcher.plain(partial(writing.places, pids))
        begun, first = time.monotonic(), await self._launcher.plain(partial(writing.look, chosen))
        await asyncio.sleep(writing.SECONDS)
        seconds, second = time.monotonic() - begun, await self._launcher.plain(partial(writing.look, chosen))
        return writing.rate(first, second, memory, seconds)

    async def close(self) -> None:
        """Stops watching. Workloads go on."""
        await self.departures.close()
        await self.arrivals.close()
        await self.making.close()
        self.execs.close()
        await self.attachments.close()
        self.copies.close()
        await self._rotation.close()
        await self._forwarding.close()
        await self.workloads.close()
        self._grace.close()
        self._launcher.close()
