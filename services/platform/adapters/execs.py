"""Running one more program in a workload: by the exec shim where the runtime is known, else by runtime and monitor.

The shim does what `crun exec` does: namespaces, control groups, limits, user, capabilities, system call filter. What it
does not know (user namespaces, security labels, filters with a listener, other runtimes) is left to the runtime.
"""

from __future__ import annotations

import errno
import os
from functools import partial
from pathlib import Path

from shared import telemetry
from shared.contracts.platform import ExecRequest
from shared.errors import Conflict, InvalidArgument

from ..domain import capabilities, failures
from ..domain.facts import Facts
from ..domain.joining import can_be_joined, wants_filter
from . import bundle, exec_spec, process
from .attachments import Attachments, Streams
from .cgroup import Cgroups
from .exec_spec import Prepared
from .execution import Executor
from .launcher import Launcher
from .runtime import Runtime
from .shim import Refused, Request, Shims, Started
from .shim_exec import ShimExec
from .workload import Watched, Workload


class Execs:
    """Makes exec processes, each with its folder below `run`/execs."""

    def __init__(
        self,
        run: Path,
        facts: Facts,
        executor: Executor,
        launcher: Launcher,
        cgroups: Cgroups,
        attachments: Attachments,
    ) -> None:
        self._folders, self._facts, self._executor = run / "execs", facts, executor
        self._launcher, self._cgroups, self._attachments = launcher, cgroups, attachments
        self._shims = Shims(str(run), self._ended, self._lost)
        self._running: dict[str, ShimExec] = {}
        self._early: dict[str, int | None] = {}
        """Ends that were told before their beginning was noted; None: the shim is gone."""

    def folder(self, exec_id: str) -> Path:
        return self._folders / exec_id

    async def run(self, request: ExecRequest, workload: Workload, runtime: Runtime) -> tuple[Watched, Streams | None]:
        """The running program, and its streams when they are asked for. `InvalidArgument` in Docker's words."""
        folder, record = self.folder(request.exec_id), workload.record
        try:
            prepare = partial(exec_spec.prepare, folder, request, workload.folder, record.pid, self._facts)
            prepared = await self._launcher.plain(prepare)
            filter = runtime.filter_file(record.id) if wants_filter(prepared.config) else ""
            if filter is not None and can_be_joined(prepared.config) and runtime.has_own_layout(record.id):
                return await self._join(request, workload, prepared, filter)
            return await self._by_runtime(request, workload, runtime)
        except BaseException:
            bundle.remove(folder)
            raise

    async def _join(
        self, request: ExecRequest, workload: Workload, prepared: Prepared, filter: str
    ) -> tuple[Watched, Streams | None]:
        folder = self.folder(request.exec_id)
        wanted = self._request(folder, request, workload, prepared, filter)
        with telemetry.span("shim.exec"):
            try:
                started = await self._shims.run(wanted, workload.first)
            except Refused as refused:
                raise self._refused(workload, refused, request.process.args[0]) from None
        running = self._keep(folder, request, workload.record, started)
        if running.pipes is None:
            return running, None
        if not request.attach:
            self._attachments.discard(running.pipes)
            return running, None
        return running, running.pipes

    def _request(
        self, folder: Path, request: ExecRequest, workload: Workload, prepared: Prepared, filter: str
    ) -> Request:
        held = prepared.spec["capabilities"]
        groups = self._cgroups.joining(workload.record.cgroup, workload.record.pid)
        return Request(
            folder=str(folder),
            groups=[] if self._cgroups.v2 else groups,
            cgroups=groups if self._cgroups.v2 else [],
            filter=filter,
            home=prepared.ids.home,
            capabilities=tuple(capabilities.to_mask(held.get(kind, ())) for kind in capabilities.SETS),
            stdin=request.process.stdin,
            attach=request.attach,
        )

    @staticmethod
    def _refused(workload: Workload, refused: Refused, program: str) -> Exception:
        if refused.number == errno.ESRCH or workload.ended.done():
            return Conflict(f"Container {workload.record.id} is not running")
        return InvalidArgument(failures.exec_refused(refused.stage, os.strerror(refused.number), refused.what, program))

    def _keep(self, folder: Path, request: ExecRequest, of: bundle.Record, started: Started) -> ShimExec:
        record = bundle.Record(
            id=of.id,
            exec_id=request.exec_id,
            pid=started.pid,
            pid_start=process.start_time(started.pid),
            monitor=started.shim,
            monitor_start=process.start_time(started.shim),
            runtime=of.runtime,
            tty=request.process.tty,
            stdin=request.process.stdin,
            stdin_once=True,
            shim=True,
        )
        bundle.write_record(folder, record)
        name = str(folder)
        running = self._running[name] = ShimExec(record, folder, started.descriptors)
        running.ended.add_done_callback(lambda _: self._running.pop(name, None))
        if name in self._early:
            self._tell(running, self._early.pop(name))
        return running

    def _ended(self, folder: str, code: int) -> None:
        self._hear(folder, code)

    def _lost(self, folder: str) -> None:
        self._hear(folder, None)

    def _hear(self, folder: str, code: int | None) -> None:
        if running := self._running.get(folder):
            self._tell(running, code)
        else:
            self._early[folder] = code

    @staticmethod
    def _tell(running: ShimExec, code: int | None) -> None:
        if code is None:
            running.lost()
        else:
            running.finish(code)

    def close(self) -> None:
        """Execs go on, and the shim with them."""
        self._shims.close()

    async def _by_runtime(
        self, request: ExecRequest, workload: Workload, runtime: Runtime
    ) -> tuple[Watched, Streams | None]:
        work = partial(self._executor.run, self.folder(request.exec_id), request, workload.record, runtime)
        if workload.monitored:
            made, connection = await self._launcher.beside(workload.record.monitor, work)
        else:
            made, connection = await self._launcher.fresh(work)
        running = Watched(made, self.folder(request.exec_id))
        return running, self._attachments.monitored(running, connection) if connection is not None else None
