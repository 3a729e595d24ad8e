"""The source's side of moves: what leaves this host.

A workload's departure is kept in `departure.json` in its bundle, so that the next platform knows of it. Once frozen it
stays so, whatever is killed, until it is thawed or discarded.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import stat
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import msgspec

from shared import clock, cluster, telemetry
from shared.config import Settings
from shared.contracts import migration_driver as contract
from shared.contracts.moving import Peer
from shared.errors import Conflict, FailedPrecondition
from shared.shielded import finish
from shared.tasks import TaskGroup

from ..domain import moving
from ..domain.lifecycle import check
from . import criu, frozen, movers, process, syscalls
from .cgroup import Cgroups
from .departing import RECORD, Departure, Record
from .launcher import Launcher
from .making import Making
from .movers import Mover
from .workload import Workload
from .workloads import Workloads

TOLD, ASKED = 6, 7
"""Descriptors of criu's beside `criu.STATUS` and `criu.PAGES`: where is heard that its images are written, and what it
is to do.
"""


class Departures:
    """All of this host."""

    def __init__(
        self, workloads: Workloads, making: Making, launcher: Launcher, cgroups: Cgroups, program: criu.Criu,
        settings: Settings, may_ask_limits: bool,
    ) -> None:  # fmt: skip
        self._workloads, self._making, self._launcher, self._cgroups = workloads, making, launcher, cgroups
        self._criu, self._settings, self._may_ask_limits = program, settings, may_ask_limits
        self._fast = settings.run_path / "platform" / "moves"
        self._known: dict[str, Departure] = {}
        self._tasks = TaskGroup("departures")

    async def recover(self) -> None:
        """What was frozen for a move stays so; a move that had not come to that is forgotten."""
        for workload in list(self._workloads):
            with contextlib.suppress(FileNotFoundError):
                record = msgspec.json.decode((workload.folder / RECORD).read_bytes(), type=Record)
                folder = self._fast / workload.record.id
                mover = Mover(record.mover, record.mover_start, folder)
                departure = Departure(workload, record, folder, mover, Peer(node="", address="", ticket=""))
                self._known[workload.record.id] = departure
                workload.leaving = record.phase != "begun"
                workload.paused = workload.paused and not workload.leaving
                if record.phase == "begun":
                    await self.thaw(workload.record.id)

    def reasons(self, workload: Workload) -> list[str]:
        """Why it cannot be moved while it runs."""
        record = workload.record
        if workload.state != "running":
            return [f"it is {workload.state}"]
        if not workload.monitored:
            return ["its monitor was killed, and with it its root's mount is gone"]
        if any(not running.ended.done() for running in workload.execs.values()):
            return ["an exec runs in it"]
        config = msgspec.json.decode((workload.folder / "config.json").read_bytes())
        return moving.reasons(config, record.runtime, self._ids(workload), self._may_ask_limits)

    def _ids(self, workload: Workload) -> set[tuple[int, int]]:
        """Real users and groups of its processes."""
        found = {process.real_ids(pid) for pid in self._cgroups.processes(workload.record.cgroup)}
        return {ids for ids in found if ids is not None}

    def memory(self, workload: Workload) -> tuple[int, int]:
        """Private memory of its processes in bytes, and how many they are."""
        pids = self._cgroups.processes(workload.record.cgroup)
        return sum(process.private_memory(pid) for pid in pids), len(pids)

    async def precopy(self, request: contract.PrecopyRequest) -> contract.PrecopyReply:
        """Connects the two hosts, if they are not; sends memory while the workload runs."""
        workload = self._workloads.get(request.id)
        departure = self._known.get(request.id)
        if departure is None or departure.peer != request.peer:
            check(request.id, workload.state, "precopy")
            if told := self.reasons(workload):
                raise FailedPrecondition(f"container {request.id} cannot be moved: {'; '.join(told)}")
            await self.thaw(request.id)
            departure = await self._begin(workload, request)
        async with departure.lock:
            check(request.id, workload.state, "precopy")
            said = await departure.mover.ask(
                "copied", seconds=590, do="copy", processes=self._processes(workload), log=workload.record.log_path,
                manifest=await self._expected(departure),
            )  # fmt: skip
            if departure.there is not None:
                await asyncio.wait((departure.there,))
        return contract.PrecopyReply(bytes=said["sent"], changed_bytes=said["changed"], total_bytes=said["total"])

    async def _begin(self, workload: Workload, request: contract.PrecopyRequest) -> Departure:
        criu.prepare_pipes()
        criu.ensure_fast(self._fast)
        await self._launcher.fresh(partial(self._criu.learn_features, self._fast, self._settings.run_path))
        name, folder = workload.record.id, self._fast / workload.record.id
        movers.remove(folder)  # a platform that was killed before it had written a record
        folder.mkdir(mode=0o700)
        mover = await movers.start(
            folder,
            {
                "side": "source",
                "address": request.peer.address,
                "ticket": request.peer.ticket,
                "node": request.peer.node,
                "certificates": str(cluster.folder(self._settings.state_path)),
            },
            self._launcher.plain,
        )
        record = Record(memory=request.strategy == "copy", mover=mover.pid, mover_start=mover.start)
        departure = self._known[name] = Departure(workload, record, folder, mover, request.peer)
        try:
            departure.write()
            await mover.ask("connected")
            gate = await self._launcher.beside(workload.record.monitor, partial(self._open_gate, departure))
            departure.there = self._tasks.start(asyncio.get_running_loop().sock_recv(gate, 16), "gate")
            departure.write()
        except BaseException:
            await asyncio.shield(self.thaw(name))
            raise
        return departure

    def _open_gate(self, departure: Departure) -> socket.socket:
        """Blocking, in the mount namespace of the monitor."""
        record, workload = departure.record, departure.workload
        ids = (0, 0) if self._may_ask_limits else min(self._ids(workload))
        network = f"/proc/{workload.record.pid}/ns/net"
        config = movers.write_gate(departure.folder, self._criu.path, network, socket=ASKED, ids=ids)
        departure.gate, asked = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        departure.status, status = os.pipe2(os.O_CLOEXEC)
        ours, theirs = socket.socketpair()
        with theirs, asked:
            departure.pages = ours.detach()
            syscalls.unshare(syscalls.CLONE_NEWNS)
            criu.cache_features(self._fast, self._settings.run_path)
            # criu gets our ends, too: at a hang-up it would end the workload, or itself
            keep = {criu.STATUS: status, criu.PAGES: theirs.fileno(), 5: departure.pages, TOLD: departure.status}
            keep[ASKED] = asked.fileno()
            record.gate = movers.spawn(movers.python("services.platform.mover.gate", str(config)), keep)
        os.close(status)
        record.gate_start = process.start_time(record.gate)
        departure.gate.setblocking(False)
        return departure.gate

    def _processes(self, workload: Workload) -> list[tuple[int, int]]:
        """Of all processes the pid here and in their own namespace."""
        pids = self._cgroups.processes(workload.record.cgroup)
        return [(pid, inside) for pid in pids if (inside := process.inner_pid(pid))]

    async def freeze(self, name: str) -> int:
        """Stops it for the move; the time in nanoseconds."""
        async with self._workloads.doing(name, "freeze") as workload:
            departure = self._departure(name)
            if told := self.reasons(workload):
                raise FailedPrecondition(f"container {name} cannot be moved: {'; '.join(told)}")
            workload.leaving, departure.record.phase = True, "frozen"
            departure.write()
            frozen_at = clock.now_ns()
            with telemetry.span("freeze"):
                await self._launcher.plain(partial(self._cgroups.freeze, workload.record.cgroup, True))
            await departure.mover.tell(do="still")
            look = partial(self._look, departure)  # while its network is taken off
            departure.manifest = self._launcher.beside(workload.record.monitor, look)
            return frozen_at

    def _departure(self, name: str) -> Departure:
        if (found := self._known.get(name)) is None:
            raise Conflict(f"container {name} is not being moved")
        return found

    async def dump(self, name: str) -> contract.DumpReply:
        """Sends all that is left; returns when the target has it. The processes stay, frozen."""
        workload, departure = self._workloads.get(name), self._departure(name)
        check(name, workload.state, "dump")
        return await finish(self._tasks, self._dump(departure))

    async def _dump(self, departure: Departure) -> contract.DumpReply:
        workload, begun = departure.workload, clock.now_ns()
        async with departure.lock:
            if departure.record.phase != "frozen" or departure.gate is None:
                raise Conflict(f"container {workload.record.id} was dumped, or is to be thawed after a restart")
            departure.record.phase = "dumping"
            departure.record.share = self._cgroups.share(workload.record.cgroup)
            departure.write()
            self._cgroups.hurry(workload.record.cgroup)
            assert departure.manifest is not None
            manifest = await departure.manifest
            try:
                with telemetry.span("criu dump"):
                    written = await self._launcher.plain(partial(self._write_images, departure, manifest))
                with telemetry.span("send dump"):
                    if written:
                        await departure.mover.tell(do="scan", gently=not departure.record.memory)
                        await departure.mover.tell(do="images", images=str(departure.folder))
                    await self._launcher.plain(partial(self._check_dump, departure, written))
                    said = await departure.mover.ask(
                        "dumped", seconds=590, do="dump", images=str(departure.folder),
                        files=self._files(workload), manifest=msgspec.to_builtins(manifest),
                        processes=self._processes(workload), log=workload.record.log_path,
                    )  # fmt: skip
            finally:  # it gives back as much memory as the workload has: by now nobody waits for that
                await self._launcher.plain(departure.end_criu)
            if departure.record.memory:
                await departure.mover.ask("served", seconds=590)
            departure.record.phase = "dumped"
            departure.write()
        return contract.DumpReply(dump_ns=clock.now_ns() - begun, bytes=said["sent"], log_bytes=said["log_bytes"])

    async def _expected(self, departure: Departure) -> object:
        """What the manifest will be, if nothing changes; None: the workload is ending."""
        with contextlib.suppress(OSError):
            look = partial(self._look, departure)
            return msgspec.to_builtins(await self._launcher.beside(departure.workload.record.monitor, look))
        return None

    def _look(self, departure: Departure) -> moving.Manifest:
        """Blocking, in the mount namespace of the monitor: what the target must know besides criu's images."""
        pid = departure.workload.record.pid
        return moving.Manifest(external=tuple(self._outside(pid)), streams=frozen.pipes(pid))

    def _outside(self, pid: int) -> Iterator[moving.External]:
        inside = os.open(f"/proc/{pid}/root", os.O_PATH | os.O_CLOEXEC)
        try:
            for mount in moving.outside(moving.mounts(Path(f"/proc/{pid}/mountinfo").read_text())):
                place = syscalls.open_in_root(inside, mount.point, os.O_PATH)
                try:
                    folder = stat.S_ISDIR(os.fstat(place).st_mode)
                    entries = frozen.entries(place) if mount.kind == "tmpfs" and folder else None
                    if found := moving.external(mount, entries, folder):
                        yield found
                finally:
                    os.close(place)
        finally:
            os.close(inside)

    def _write_images(self, departure: Departure, manifest: moving.Manifest) -> bool:
        """Blocking. Has criu begin, until it has written its images, or has failed."""
        workload, gate = departure.workload, departure.gate
        assert gate is not None
        freezer = self._cgroups.directory(workload.record.cgroup, "freezer")
        points = [each.point for each in manifest.external]
        gate.send(self._criu.dump(workload.record.pid, departure.folder, freezer, points))
        return criu.has_written(departure.status)

    def _check_dump(self, departure: Departure, written: bool) -> None:
        """Blocking. The processes stay frozen without criu, too; what they have said is in the log."""
        workload = departure.workload
        self._cgroups.freeze(workload.record.cgroup, True)  # criu has thawed the group: its processes are traced
        if not written:
            departure.end_criu()
            told = criu.reason(departure.folder / "dump.log") or frozen.last_line(departure.folder / "gate.log")
            raise FailedPrecondition(f"container {workload.record.id} cannot be moved: {told or 'criu failed'}")
        if not frozen.written(workload.record.pid, workload.record.monitor):  # its log goes next
            raise FailedPrecondition(f"container {workload.record.id} cannot be moved: its output is not taken")

    def _files(self, workload: Workload) -> list[str]:
        """The runtime's state, which the target's needs, too."""
        state = self._making.runtime_state(workload.record)
        return [str(path) for name in ("status", "seccomp.bpf") if (path := state / name).exists()]

    async def thaw(self, name: str) -> None:
        """It runs on here as if nothing had been. Nothing where nothing is being moved."""
        if (departure := self._known.get(name)) is None:
            return
        await departure.mover.kill()
        async with departure.lock:
            if self._known.get(name) is departure:
                await self._launcher.plain(partial(self._let_go, departure))
                (departure.workload.folder / RECORD).unlink(missing_ok=True)
                departure.workload.leaving = False
                self._forget(name)

    def _let_go(self, departure: Departure) -> None:
        """Blocking. Ends criu where it does no harm, undoes what it left, and lets the processes run."""
        record, group = departure.record, departure.workload.record.cgroup
        if departure.gate is not None:
            departure.gate.close()  # criu goes, unless it has been told what to do
        if record.phase == "dumping":
            _await_dump(departure)
        if record.phase != "begun":
            self._cgroups.freeze(group, True)
        departure.end_criu()
        if record.phase != "begun":
            for pid in self._cgroups.processes(group):
                frozen.end_repair(pid)
            if record.share:
                self._cgroups.hurried(group, record.share)
            self._cgroups.freeze(group, False)

    def _forget(self, name: str) -> None:
        departure = self._known.pop(name)
        departure.close()
        movers.remove(departure.folder)
        criu.drop_fast(self._fast)

    async def discard(self, name: str) -> None:
        """Removes it from this host, silently, when the target has all its memory, or cannot get it any more."""
        workload, departure = self._workloads.find(name), self._known.get(name)
        if workload is None:
            return
        if departure is None or departure.record.phase != "dumped":
            raise Conflict(f"container {name} has not been moved")
        if not departure.record.memory:
            await asyncio.shield(departure.mover.over)
        async with departure.lock:
            if name not in self._known:
                return
            workload.silent = True
            await departure.mover.kill()
            await self._launcher.plain(partial(self._kill, workload.record.cgroup))
            await asyncio.wait((workload.ended,))
            await self._making.forget(workload)
            self._forget(name)

    def _kill(self, group: str) -> None:
        """Blocking. No process runs again: the signal is there before they are let go."""
        self._cgroups.freeze(group, True)
        self._cgroups.signal(group, signal.SIGKILL)
        self._cgroups.freeze(group, False)

    async def close(self) -> None:
        """Movers go on alone where they must."""
        await self._tasks.close()
        for departure in self._known.values():
            departure.close()


def _await_dump(departure: Departure) -> None:
    """In the middle of a dump criu must not be killed: its code would stay in the processes."""
    with contextlib.suppress(OSError):
        if departure.status < 0:  # another platform has started it
            held = os.pidfd_open(departure.record.gate)
            try:
                departure.status = syscalls.descriptor_of(held, TOLD)
            finally:
                os.close(held)
        criu.has_written(departure.status)
