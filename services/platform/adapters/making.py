"""The life of a workload: made, started, removed, found again."""

from __future__ import annotations

import asyncio
import logging
import signal
from functools import partial
from pathlib import Path

from shared import clock
from shared.contracts.platform import CreateRequest
from shared.errors import AlreadyExists, Conflict
from shared.tasks import TaskGroup

from ..domain.lifecycle import Ended
from . import bundle, process, rotation, shm
from .arriving import ARRIVAL
from .attachments import Attachments
from .cgroup import Cgroups
from .creation import Creator
from .forwarding import Forwarding
from .grace import Grace
from .launcher import Launcher
from .monitor import CREATE_SECONDS
from .runtime import Runtimes
from .shim_exec import ShimExec
from .workload import Watched, Workload
from .workloads import Workloads

log = logging.getLogger(__name__)


class Making:
    """Creates, starts and deletes; `recover` comes before all else."""

    def __init__(
        self,
        workloads: Workloads,
        launcher: Launcher,
        creator: Creator,
        runtimes: Runtimes,
        cgroups: Cgroups,
        attachments: Attachments,
        forwarding: Forwarding,
        grace: Grace,
        cgroup_parent: str,
    ) -> None:
        self._workloads, self._launcher, self._creator = workloads, launcher, creator
        self._runtimes, self._cgroups, self._attachments = runtimes, cgroups, attachments
        self._forwarding, self._grace, self._cgroup_parent = forwarding, grace, cgroup_parent
        self._pending: dict[str, asyncio.Future[bundle.Record]] = {}
        self._tasks = TaskGroup("making")

    async def create(self, request: CreateRequest) -> Workload:
        """A workload whose process waits for its start. `AlreadyExists`, `InvalidArgument`."""
        name = request.id
        if self._workloads.find(name) or name in self._pending:
            raise AlreadyExists(f"container {name} exists on this host")
        self._grace.begin()
        sink = await self._forwarding.prepare(request.log_sink) if request.log_sink else None
        work = partial(
            self._creator.create, request, self._creator.cgroup(request, self._cgroup_parent), self._shm(request)
        )
        made = self._pending[name] = self._launcher.fresh(work)
        made.add_done_callback(lambda _: self._pending.pop(name))
        try:
            record = await asyncio.shield(made)
        except asyncio.CancelledError:
            made.add_done_callback(self._unwanted)
            raise
        except BaseException:
            self._attachments.dismiss(name)
            if sink is not None:
                sink.close()
            raise
        workload = self._workloads.keep(Workload(record, self._creator.folder(name), waits=not request.restore))
        if request.log_sink and sink is not None:
            self._forwarding.begin(Path(record.log_path), request.log_sink, sink, workload.ended)
        if request.restore:
            await self._attachments.join(workload)
        return workload

    def _unwanted(self, made: asyncio.Future[bundle.Record]) -> None:
        """Removes a workload whose caller has gone while it was made: a thread cannot be broken off."""
        if made.exception() is None:
            record = made.result()
            self._workloads.keep(Workload(record, self._creator.folder(record.id), waits=True))
            self._tasks.start(self.delete(record.id, logs=False), "take back")

    def _shm(self, request: CreateRequest) -> str:
        """The host folder of a /dev/shm that several workloads share; empty for one of its own."""
        if request.isolation.ipc == shm.SHAREABLE:
            return shm.make(self._creator.run, request.id, request.shm_size)
        sharing = (w.record.shm for w in self._workloads if request.isolation.ipc == f"/proc/{w.record.pid}/ns/ipc")
        return next(sharing, "")

    async def start(self, name: str) -> int:
        """Lets the process run, clients that wait for it joined before; the time in nanoseconds."""
        async with self._workloads.doing(name, "start") as workload:
            await self._attachments.join(workload)
            record = workload.record
            record.started_at = clock.now_ns()
            bundle.write_record(workload.folder, record)
            self._runtimes.get(record.runtime).start(name)
            workload.waits = False
            return record.started_at

    async def delete(self, name: str, logs: bool) -> None:
        """Removes what is left of a workload that does not run. Idempotent.

        With `logs` it goes for good: its log too, and who waits for it is let go.
        """
        if name in self._pending:
            raise Conflict(f"container {name} is being made")
        if self._workloads.find(name):
            async with self._workloads.doing(name, "delete") as workload:
                await self._remove(workload)
        if logs:
            await self._remove_logs(name)

    async def _remove_logs(self, name: str) -> None:
        self._attachments.dismiss(name)
        for tty in (False, True):
            await self._forwarding.end(self._creator.log_path(name, tty))
            rotation.remove(self._creator.log_path(name, tty))

    async def forget(self, workload: Workload) -> None:
        """Removes all that is left of a workload that has gone to another host, and has ended here."""
        async with workload.lock:
            await self._remove(workload)
        await self._remove_logs(workload.record.id)

    def runtime_state(self, record: bundle.Record) -> Path:
        """Where the runtime keeps what it knows of a workload."""
        return self._runtimes.get(record.runtime).state / record.id

    async def _remove(self, workload: Workload) -> None:
        record = workload.record
        if not workload.ended.done():
            workload.send(signal.SIGKILL)
            await asyncio.wait((workload.ended,))
        for exec_id, running in list(workload.execs.items()):
            await asyncio.wait((running.ended,))
            self._workloads.forget_exec(exec_id)
        runtime = self._runtimes.get(record.runtime)
        await self._launcher.plain(partial(self._creator.discard, record.id, runtime, record.cgroup))
        self._workloads.forget(workload)

    async def recover(self) -> None:
        """Finds again what runs or has ended while no platform was there; removes what was half made."""
        for folder, record in list(bundle.records(self._creator.run / "workloads")):
            if record is None:
                if not (folder / ARRIVAL).exists():
                    self._discard_half_made(folder)
                continue
            waits = self._runtimes.get(record.runtime).waits(record.id)
            self._workloads.keep(Workload(record, folder, waits, self._cgroups.frozen(record.cgroup)))
        for folder, record in list(bundle.records(self._creator.run / "execs")):
            of = self._workloads.find(record.id) if record else None
            if record is None or of is None:
                self._discard_half_made_exec(folder)
            else:
                self._workloads.keep_exec(of, (ShimExec if record.shim else Watched)(record, folder))
        self._forwarding.go_on(self._creator.logs, self._ended)

    def _ended(self, log: Path) -> asyncio.Future[Ended]:
        """When the workload that writes a log ends; done where there is none."""
        found = self._workloads.find(log.name.partition(".")[0])
        if found is not None:
            return found.ended
        done: asyncio.Future[Ended] = asyncio.get_running_loop().create_future()
        done.set_result(Ended(0, 0))
        return done

    def _discard_half_made(self, folder: Path) -> None:
        """A monitor may be there, even at work; its process never ran."""
        log.warning("removing workload %s, which was not made to the end", folder.name)
        for pid in process.with_argument(str(folder)):
            process.end(pid)
        for runtime in self._runtimes.names():
            self._creator.discard(folder.name, self._runtimes.get(runtime), f"/{self._cgroup_parent}/{folder.name}")

    def _discard_half_made_exec(self, folder: Path) -> None:
        """Its process may run in a workload; nobody was told of it."""
        for pid in process.with_argument(str(folder)):
            process.end(pid)
        made = bundle.pid(folder)
        if any(made in self._cgroups.processes(workload.record.cgroup) for workload in self._workloads):
            process.end(made)
        gone = folder.with_name(f".{folder.name}")
        folder.rename(gone)  # who watched the process may be writing its exit code here at this moment
        bundle.remove(gone)

    async def close(self) -> None:
        """Ends what was begun."""
        if self._pending:
            await asyncio.wait(tuple(self._pending.values()))
            await asyncio.sleep(0)  # whoever waited for one of them goes first
        await self._tasks.drain(CREATE_SECONDS)
