"""The Linux adapter: all workloads of this host."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from shared import clock
from shared.config import Settings
from shared.contracts.executor import AttachRequest, LogsRequest
from shared.contracts.platform import CreateRequest
from shared.errors import AlreadyExists, NotFound
from shared.streams import Channel

from ..domain import lifecycle
from ..domain.lifecycle import Ended
from ..domain.logs import Decoder, Selection
from . import attach, bundle, facts, launcher, monitor
from .attachments import Attachments
from .cgroup import Cgroups
from .creation import Creator
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
        launcher.ensure_private(launcher.roots_dir(settings))
        self.launcher = Launcher(launcher.is_hybrid())
        self.cgroups = Cgroups()
        self.facts = facts.read(settings, self.cgroups.v2)
        self.runtimes = Runtimes(settings)
        self.monitors = monitor.Program(program(settings, "conmon"))
        self.creator = Creator(self.run, logs, self.facts, self.monitors, self.runtimes, self.cgroups)
        self.attachments = Attachments()
        self.workloads: dict[str, Workload] = {}
        self._making: set[str] = set()

    def get(self, workload: str) -> Workload:
        found = self.workloads.get(workload)
        if found is None:
            raise NotFound(f"No such container: {workload}")
        return found

    async def create(self, request: CreateRequest) -> Workload:
        """A workload whose process waits for its start, clients joined."""
        if request.id in self.workloads or request.id in self._making:
            raise AlreadyExists(f"container {request.id} exists on this host")
        self._making.add(request.id)
        try:
            work = partial(self.creator.create, request, self._cgroup(request), "")
            record = await self.launcher.fresh(work)
        except BaseException:
            self.attachments.dismiss(request.id)
            raise
        finally:
            self._making.discard(request.id)
        workload = Workload(record, self.creator.folder(request.id), waits=True)
        self._keep(workload)
        return workload

    def _cgroup(self, request: CreateRequest) -> str:
        parent = request.resources.cgroup_parent or self._settings.cgroup_parent
        parts = [part for part in parent.split("/") if part not in ("", ".", "..")]
        return "/" + "/".join((*parts, request.id))

    def _keep(self, workload: Workload) -> None:
        self.workloads[workload.record.id] = workload
        workload.watch(lambda: self._told(workload, workload.ended.result()))

    @asynccontextmanager
    async def doing(self, workload: str, wish: str) -> AsyncIterator[Workload]:
        """The workload, locked, in a state that allows `wish`."""
        found = self.get(workload)
        async with found.lock:
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
        for running in workload.execs.values():
            await asyncio.wait((running.ended,))
        runtime = self.runtimes.get(record.runtime)
        await self.launcher.plain(partial(self.creator.discard, record.id, runtime, record.cgroup))
        workload.close()
        del self.workloads[record.id]

    async def attach(self, request: AttachRequest, channel: Channel) -> None:
        """Serves a client until the workload has ended; one that comes before its workload waits for it."""
        if request.logs:
            await self.logs(_replay(request), channel)
        if not request.stream:
            return
        found = self.workloads.get(request.id)
        if found is not None and not found.ended.done():
            joined: Joined | None = await _join(found)
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

    def _discard_half_made(self, folder: Path) -> None:
        """A monitor without record: its process never ran."""
        name = folder.name
        for runtime in self.runtimes.names():
            self.creator.discard(name, self.runtimes.get(runtime), f"/{self._settings.cgroup_parent}/{name}")

    async def close(self) -> None:
        """Stops watching. Workloads go on."""
        await self.attachments.close()
        for workload in self.workloads.values():
            workload.close()
        self.launcher.close()


Joined = tuple[Watched, socket.socket]


async def _join(workload: Workload) -> Joined | None:
    """A connection to the monitor; None when it is just ending."""
    try:
        return workload, await attach.connect(workload.folder)
    except OSError:
        return None


def _replay(request: AttachRequest) -> LogsRequest:
    return LogsRequest(id=request.id, stdout=request.stdout, stderr=request.stderr)
