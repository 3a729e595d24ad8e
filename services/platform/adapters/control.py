"""What is done to a workload that runs: signals, suspension, execs, limits, figures."""

from __future__ import annotations

import os
import socket
from functools import partial
from pathlib import Path
from typing import Any

from shared.contracts.container import Resources
from shared.contracts.platform import ExecRequest, SignalRequest
from shared.errors import AlreadyExists, NotFound

from ..domain import lifecycle, stats, top
from ..domain.host import memory_total
from ..domain.resources import resources
from . import devices, monitor, process
from .cgroup import Cgroups
from .execution import Executor
from .launcher import Launcher
from .runtime import Runtimes
from .workload import Watched, Workload
from .workloads import Workloads


class Control:
    """Operations on running workloads; each checks the state it needs (`Conflict`)."""

    def __init__(
        self, workloads: Workloads, launcher: Launcher, executor: Executor, runtimes: Runtimes, cgroups: Cgroups
    ) -> None:
        self._workloads, self._launcher, self._executor = workloads, launcher, executor
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

    async def exec(self, request: ExecRequest, root: Path) -> tuple[Watched, socket.socket | None]:
        """Runs a program in a running workload; with the connection to its streams, made before it ran."""
        async with self._workloads.doing(request.id, "exec") as workload:
            if request.exec_id in workload.execs:
                raise AlreadyExists(f"exec {request.exec_id} exists")
            record = workload.record
            seen = root if workload.monitored else Path(f"/proc/{record.pid}/root")
            runtime = self._runtimes.get(record.runtime)
            work = partial(self._executor.run, request, record, workload.folder, seen, runtime)
            if workload.monitored:
                made, streams = await self._launcher.beside(record.monitor, work)
            else:
                made, streams = await self._launcher.fresh(work)
            running = Watched(made, self._executor.folder(request.exec_id))
            self._workloads.keep_exec(workload, running)
            return running, streams

    def resize(self, name: str, exec_id: str, height: int, width: int) -> None:
        """Gives the terminal of the workload, or of an exec in it, a new size."""
        workload = self._workloads.get(name)
        lifecycle.check(name, workload.state, "resize")
        monitor.resize(self._watched(workload, exec_id).folder, height, width)

    async def top(self, name: str, arguments: str) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
        """Titles and rows of ps(1) for the workload's processes."""
        words = top.check_arguments(arguments)
        async with self._workloads.doing(name, "top") as workload:
            output = await self._launcher.plain(partial(process.ps, words))
            return top.select(output, set(self._cgroups.processes(workload.record.cgroup)))

    async def update(self, name: str, wanted: Resources) -> None:
        """Changes limits of a living workload; what is not named stays."""
        async with self._workloads.doing(name, "update") as workload:
            limits = resources(wanted, devices.numbers)
            if wanted.pids_limit is None:
                del limits["pids"]
            if limits:
                runtime = self._runtimes.get(workload.record.runtime)
                await self._launcher.fresh(partial(runtime.update, name, limits))

    def stats(self, name: str) -> dict[str, Any]:
        """One sample of the workload's usage."""
        workload = self._workloads.get(name)
        lifecycle.check(name, workload.state, "stats")
        system, memory = stats.system_time(Path("/proc/stat").read_text()), Path("/proc/meminfo").read_text()
        files = self._cgroups.read(workload.record.cgroup)
        return stats.sample(files, self._cgroups.v2, system, len(os.sched_getaffinity(0)), memory_total(memory))
