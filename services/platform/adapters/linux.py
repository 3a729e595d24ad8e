"""The Linux adapter: all workloads of this host."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from shared import clock, hostmounts
from shared.config import Settings
from shared.contracts.container import Resources
from shared.contracts.executor import AttachRequest, LogsRequest
from shared.contracts.platform import CreateRequest, ExecRequest, HostInfo
from shared.errors import AlreadyExists, Conflict, NotFound
from shared.streams import Channel
from shared.tasks import TaskGroup

from ..domain import lifecycle, stats, top
from ..domain.host import memory_total
from ..domain.lifecycle import Ended
from ..domain.logs import Decoder, Selection
from ..domain.process import granted
from ..domain.resources import resources
from . import attach, bundle, devices, facts, host, launcher, monitor, process
from .attachments import Attachments
from .cgroup import Cgroups
from .creation import Creator
from .execution import Executor
from .launcher import Launcher
from .logs import LogFile
from .runtime import Runtimes, program
from .workload import Watched, Workload

log = logging.getLogger(__name__)
Told = Callable[[Watched, Ended], None]


class Linux:
    """Workloads by id; every operation on one is done alone (its lock), on different ones at once."""

    def __init__(self, settings: Settings, told: Told) -> None:
        """`told` is called when the first process of a workload or exec has ended."""
        self._settings, self._told = settings, told
        self.run = settings.run_path / "platform"
        logs = settings.state_path / "platform" / "logs"
        for folder in (self.run / "workloads", self.run / "execs", launcher.roots_dir(settings), logs):
            folder.mkdir(parents=True, exist_ok=True, mode=0o710)
        hostmounts.prepare(settings)
        launcher.ensure_private(launcher.roots_dir(settings))
        self.launcher = Launcher(launcher.is_hybrid())
        self.cgroups = Cgroups()
        self.facts = facts.read(settings, self.cgroups.v2)
        self.runtimes = Runtimes(settings)
        self.monitors = monitor.Program(program(settings, "conmon"))
        self.creator = Creator(self.run, logs, self.facts, self.monitors, self.runtimes, self.cgroups)
        self.executor = Executor(self.run, self.facts, self.monitors)
        self.attachments = Attachments()
        self.workloads: dict[str, Workload] = {}
        self._making: set[str] = set()
        self._tasks = TaskGroup("platform")
        self._host: HostInfo | None = None

    def get(self, workload: str) -> Workload:
        found = self.workloads.get(workload)
        if found is None:
            raise NotFound(f"No such container: {workload}")
        return found

    def check(self, request: CreateRequest) -> None:
        """Refuses what Docker refuses when a container is made: an unknown runtime, an unknown capability."""
        self.runtimes.get(request.runtime)
        granted(request.process, self.facts)

    async def host(self) -> HostInfo:
        """Facts of the host; the tools' versions are asked once."""
        if self._host is None:
            work = partial(host.read, self._settings, self.facts, self.cgroups, self.runtimes, self.monitors.path)
            self._host = await self.launcher.plain(work)
        return self._host

    async def create(self, request: CreateRequest) -> Workload:
        """A workload whose process waits for its start, clients joined."""
        if request.id in self.workloads or request.id in self._making:
            raise AlreadyExists(f"container {request.id} exists on this host")
        self._making.add(request.id)
        made = self.launcher.fresh(partial(self.creator.create, request, self._cgroup(request), ""))
        made.add_done_callback(lambda _: self._making.discard(request.id))
        try:
            record = await asyncio.shield(made)
        except asyncio.CancelledError:
            made.add_done_callback(self._unwanted)
            raise
        except BaseException:
            self.attachments.dismiss(request.id)
            raise
        return self._keep(Workload(record, self.creator.folder(request.id), waits=True))

    def _unwanted(self, made: asyncio.Future[bundle.Record]) -> None:
        """Removes a workload whose caller has gone while it was made: a thread cannot be broken off."""
        if made.exception() is None:
            workload = self._keep(Workload(made.result(), self.creator.folder(made.result().id), waits=True))
            self._tasks.start(self.delete(workload.record.id, logs=False), "take back")

    def _cgroup(self, request: CreateRequest) -> str:
        parent = request.resources.cgroup_parent or self._settings.cgroup_parent
        parts = [part for part in parent.split("/") if part not in ("", ".", "..")]
        return "/" + "/".join((*parts, request.id))

    def _keep(self, workload: Workload) -> Workload:
        self.workloads[workload.record.id] = workload
        workload.watch(lambda: self._told(workload, workload.ended.result()))
        return workload

    @asynccontextmanager
    async def doing(self, workload: str, wish: str) -> AsyncIterator[Workload]:
        """The workload, locked, in a state that allows `wish`."""
        found = self.get(workload)
        async with found.lock:
            if self.get(workload) is not found:
                raise NotFound(f"No such container: {workload}")
            lifecycle.check(workload, found.state, wish)
            yield found

    async def start(self, name: str) -> int:
        """Lets the process run; the time in nanoseconds."""
        async with self.doing(name, "start") as workload:
            await self.attachments.join(workload)
            record = workload.record
            record.started_at = clock.now_ns()
            bundle.write_record(workload.folder, record)
            self.runtimes.get(record.runtime).start(name)
            workload.waits = False
            return record.started_at

    async def delete(self, name: str, logs: bool) -> None:
        """Removes what is left of a workload that does not run. Idempotent."""
        if name in self._making:
            raise Conflict(f"container {name} is being made")
        self.attachments.dismiss(name)
        if name in self.workloads:
            async with self.doing(name, "delete") as workload:
                await self._delete(workload)
        if logs:
            for tty in (False, True):
                self.creator.log_path(name, tty).unlink(missing_ok=True)

    async def _delete(self, workload: Workload) -> None:
        record = workload.record
        if not workload.ended.done():
            workload.send(9)
            await asyncio.wait((workload.ended,))
        for exec_id, running in list(workload.execs.items()):
            await asyncio.wait((running.ended,))
            self.forget_exec(exec_id)
        runtime = self.runtimes.get(record.runtime)
        await self.launcher.plain(partial(self.creator.discard, record.id, runtime, record.cgroup))
        workload.close()
        del self.workloads[record.id]

    async def signal(self, name: str, number: int, everyone: bool) -> None:
        """Signals the first process, or every process of the workload."""
        async with self.doing(name, "signal") as workload:
            if everyone:
                self.cgroups.signal(workload.record.cgroup, number)
            else:
                workload.send(number)

    async def freeze(self, name: str, frozen: bool) -> None:
        """Suspends or resumes a workload."""
        async with self.doing(name, "pause" if frozen else "unpause") as workload:
            await self.launcher.plain(partial(self.cgroups.freeze, workload.record.cgroup, frozen))
            workload.paused = frozen

    async def exec(self, request: ExecRequest) -> tuple[Watched, socket.socket | None]:
        """Runs a program in a running workload."""
        async with self.doing(request.id, "exec") as workload:
            if request.exec_id in workload.execs:
                raise AlreadyExists(f"exec {request.exec_id} exists")
            record, runtime = workload.record, self.runtimes.get(workload.record.runtime)
            monitored = workload.monitored
            root = self.creator.root(record.id) if monitored else Path(f"/proc/{record.pid}/root")
            work = partial(self.executor.run, request, record, workload.folder, root, runtime)
            made, streams = await (
                self.launcher.beside(record.monitor, work) if monitored else self.launcher.fresh(work)
            )
            running = Watched(made, self.executor.folder(request.exec_id))
            self._keep_exec(workload, running)
            return running, streams

    def _keep_exec(self, workload: Workload, running: Watched) -> None:
        workload.execs[running.record.exec_id] = running
        running.watch(lambda: self._told(running, running.ended.result()))

    def forget_exec(self, exec_id: str) -> None:
        """Drops what is kept of an exec that ended. Idempotent."""
        for workload in self.workloads.values():
            running = workload.execs.get(exec_id)
            if running is not None and running.ended.done():
                del workload.execs[exec_id]
                running.close()
                bundle.remove(running.folder)

    def resize(self, name: str, exec_id: str, height: int, width: int) -> None:
        """Tells the monitor the new size of its terminal."""
        workload = self.get(name)
        lifecycle.check(name, workload.state, "resize")
        running: Watched | None = workload.execs.get(exec_id) if exec_id else workload
        if running is None:
            raise NotFound(f"No such exec instance: {exec_id}")
        monitor.resize(running.folder, height, width)

    async def top(self, name: str, arguments: str) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
        """Titles and rows of ps(1) for the workload's processes."""
        words = top.check_arguments(arguments)
        async with self.doing(name, "top") as workload:
            output = await self.launcher.plain(partial(process.ps, words))
            return top.select(output, set(self.cgroups.processes(workload.record.cgroup)))

    async def update(self, name: str, wanted: Resources) -> None:
        """Changes limits of a living workload."""
        async with self.doing(name, "update") as workload:
            limits = resources(wanted, devices.numbers)
            if wanted.pids_limit is None:
                del limits["pids"]
            runtime = self.runtimes.get(workload.record.runtime)
            if limits:
                await self.launcher.fresh(partial(runtime.update, name, limits))

    def stats(self, name: str) -> dict[str, Any]:
        """One sample of the workload's usage."""
        workload = self.get(name)
        lifecycle.check(name, workload.state, "stats")
        system, memory = stats.system_time(Path("/proc/stat").read_text()), Path("/proc/meminfo").read_text()
        files = self.cgroups.read(workload.record.cgroup)
        return stats.sample(files, self.cgroups.v2, system, len(os.sched_getaffinity(0)), memory_total(memory))

    async def attach(self, request: AttachRequest, channel: Channel) -> None:
        """Serves a client until the workload has ended; one that comes before its workload waits for it."""
        if request.logs:
            await self.logs(_replay(request), channel)
        if not request.stream:
            return
        found = self.workloads.get(request.id)
        if found is not None and not found.ended.done():
            joined: Joined | None = _join(found)
        else:
            joined = await self.attachments.wait(request.id)
        if joined is not None:
            await self.attachments.serve(channel, *joined, request)

    async def logs(self, request: LogsRequest, channel: Channel) -> None:
        """Sends the log; with `follow` until a workload that runs has ended."""
        found = self.workloads.get(request.id)
        path, tty = next(
            ((p, tty) for tty in (False, True) if (p := self.creator.log_path(request.id, tty)).exists()), (None, False)
        )
        if path is None:
            return
        decoder = Decoder(
            Selection(request.stdout, request.stderr, request.since, request.until, request.timestamps, not tty)
        )
        log_file = LogFile(path)
        try:
            if request.tail >= 0:
                log_file.tail(request.tail)
            if request.follow and found is not None:
                await log_file.follow(channel, decoder, found.ended)
            else:
                await log_file.send(channel, decoder)
            await channel.write(decoder.flush())
        finally:
            log_file.close()

    async def recover(self) -> None:
        """Finds again what ran or had ended while no platform was there; removes what was half made."""
        for folder, record in list(bundle.records(self.run / "workloads")):
            if record is None:
                self._discard_half_made(folder)
                continue
            runtime = self.runtimes.get(record.runtime)
            self._keep(Workload(record, folder, runtime.waits(record.id), self.cgroups.frozen(record.cgroup)))
        for folder, record in list(bundle.records(self.run / "execs")):
            if record is None or record.id not in self.workloads:
                bundle.remove(folder)
            else:
                self._keep_exec(self.workloads[record.id], Watched(record, folder))

    def _discard_half_made(self, folder: Path) -> None:
        """A monitor without record: its process never ran."""
        name = folder.name
        for runtime in self.runtimes.names():
            self.creator.discard(name, self.runtimes.get(runtime), f"/{self._settings.cgroup_parent}/{name}")

    async def close(self) -> None:
        """Stops watching. Workloads go on."""
        await self._tasks.drain(monitor.CREATE_SECONDS)
        await self.attachments.close()
        for workload in self.workloads.values():
            for running in workload.execs.values():
                running.close()
            workload.close()
        self.launcher.close()


Joined = tuple[Watched, socket.socket]


def _join(workload: Workload) -> Joined | None:
    """A connection to the monitor; None when it is just ending."""
    try:
        return workload, attach.connect_now(workload.folder)
    except OSError:
        return None


def _replay(request: AttachRequest) -> LogsRequest:
    return LogsRequest(id=request.id, stdout=request.stdout, stderr=request.stderr)
