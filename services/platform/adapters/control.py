"""What is done to a workload that runs: signals, suspension, execs, limits, figures."""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from shared import clock
from shared.contracts.container import Resources
from shared.contracts.platform import CheckpointRequest, ExecRequest, Sample, SignalRequest
from shared.errors import AlreadyExists, Conflict, NotFound

from ..domain import lifecycle, stats, top
from ..domain.host import memory_total
from ..domain.resources import resources
from . import bundle, devices, images, process
from .attachments import Streams
from .cgroup import Cgroups
from .execs import Execs
from .launcher import Launcher
from .runtime import Runtimes
from .workload import Watched, Workload
from .workloads import Workloads


class Control:
    """Operations on running workloads; each checks the state it needs (`Conflict`)."""

    def __init__(
        self, workloads: Workloads, launcher: Launcher, execs: Execs, runtimes: Runtimes, cgroups: Cgroups
    ) -> None:
        self._workloads, self._launcher, self._execs = workloads, launcher, execs
        self._runtimes, self._cgroups = runtimes, cgroups

    async def signal(self, request: SignalRequest) -> None:
        """Signals the first process, that of an exec, or every process of the workload."""
        async with self._workloads.doing(request.id, "signal") as workload:
            if request.all:
                self._cgroups.signal(workload.record.cgroup, request.signal)
            else:
                self._watched(workload, request.exec_id).send(request.signal)

    @staticmethod
    def _watched(workload: Workload, exec_id: str) -> Watched:
        """The workload itself, or an exec in it; `NotFound` when there is none."""
        running: Watched | None = workload.execs.get(exec_id) if exec_id else workload
        if running is None:
            raise NotFound(f"No such exec instance: {exec_id}")
        return running

    async def freeze(self, name: str, frozen: bool) -> None:
        """Suspends or resumes a workload."""
        async with self._workloads.doing(name, "pause" if frozen else "unpause") as workload:
            await self._launcher.plain(partial(self._cgroups.freeze, workload.record.cgroup, frozen))
            workload.paused = frozen

    async def exec(self, request: ExecRequest) -> tuple[Watched, Streams | None]:
        """Runs a program in a running workload; with its streams, which were there before it ran."""
        async with self._workloads.doing(request.id, "exec") as workload:
            if request.exec_id in workload.execs:
                raise AlreadyExists(f"exec {request.exec_id} exists")
            runtime = self._runtimes.get(workload.record.runtime)
            running, streams = await self._execs.run(request, workload, runtime)
            self._workloads.keep_exec(workload, running)
            return running, streams

    async def checkpoint(self, request: CheckpointRequest) -> None:
        """Writes a running workload's state to a folder, which it makes; on failure nothing is left of it."""
        async with self._workloads.doing(request.id, "checkpoint") as workload:
            if not workload.monitored:
                raise Conflict(f"container {request.id} has lost its monitor, and with it its root's mount")
            runtime = self._runtimes.get(workload.record.runtime)
            work = partial(images.dump, runtime, request, workload.folder)
            await self._launcher.beside(workload.record.monitor, work)

    def resize(self, name: str, exec_id: str, height: int, width: int) -> None:
        """Gives the terminal of the workload, or of an exec in it, a new size."""
        workload = self._workloads.get(name)
        lifecycle.check(name, workload.state, "resize")
        self._watched(workload, exec_id).resize(height, width)

    async def top(self, name: str, arguments: str) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
        """Titles and rows of ps(1) for the workload's processes."""
        words = top.check_arguments(arguments)
        async with self._workloads.doing(name, "top") as workload:
            pids = set(self._cgroups.processes(workload.record.cgroup))
            return top.select(await self._launcher.plain(partial(process.ps, words, pids)), pids)

    async def update(self, name: str, wanted: Resources) -> None:
        """Changes limits of a living workload; what is not named stays."""
        async with self._workloads.doing(name, "update") as workload:
            limits = resources(wanted, devices.numbers)
            if wanted.pids_limit is None:
                del limits["pids"]
            if not limits:
                return
            runtime = self._runtimes.get(workload.record.runtime)
            if runtime.uses_cgroups(name):
                await self._launcher.plain(partial(self._cgroups.limit, workload.record.cgroup, limits))
            else:
                await self._launcher.fresh(partial(runtime.update, name, limits))

    async def stats(self, names: Iterable[str]) -> dict[str, Sample]:
        """One sample of each workload's usage; of those that do not run, none."""
        running = [found for name in names if (found := self._workloads.find(name)) and found.state != "stopped"]
        return await self._launcher.plain(partial(self._sample, [found.record for found in running]))

    def _sample(self, records: list[bundle.Record]) -> dict[str, Sample]:
        total = memory_total(Path("/proc/meminfo").read_text())
        cpus, own = len(os.sched_getaffinity(0)), os.stat("/proc/self/ns/net").st_ino
        made = {}
        for record in records:
            files = self._cgroups.read(record.cgroup)
            # read after the group's own counters: a share of the host's time is never more than all of it
            system = stats.system_time(Path("/proc/stat").read_text())
            raw = stats.sample(files, self._cgroups.v2, system, cpus, total)
            if networks := stats.interfaces(process.network_counters(record.pid, own)):
                raw["networks"] = networks
            made[record.id] = Sample(read=clock.now_ns(), raw=raw)
        return made
