"""The target's side of moves: what comes to this host.

An arrival has a bundle as every workload, with `arrival.json` in it, and a folder in memory for its images. It may be
held, restored to the last, by a criu that waits for its word; that outlives the platform.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from functools import partial
from pathlib import Path

import msgspec

from shared import clock, cluster, ids, telemetry
from shared.config import Settings
from shared.contracts import migration_driver as contract
from shared.contracts import platform
from shared.contracts.migration_driver import ReceiveRequest
from shared.contracts.moving import Peer
from shared.errors import AlreadyExists, Conflict, FailedPrecondition, Internal, NotFound, ShoalError
from shared.shielded import finish
from shared.tasks import TaskGroup

from ..domain import moving
from . import bundle, criu, monitor, movers, process
from .arriving import ARRIVAL, Ahead, Arrival, Maker, Record
from .attachments import Attachments
from .cgroup import Cgroups
from .launcher import Launcher
from .movers import Mover
from .workload import Workload
from .workloads import Workloads

log = logging.getLogger(__name__)

MANIFEST, SETTLED, FILLED, LOST = "manifest.json", "settled", "filled", "lost"
"""What a mover leaves in its folder (`services.platform.mover.target`)."""


class Arrivals:
    """All of this host."""

    def __init__(
        self, workloads: Workloads, attachments: Attachments, launcher: Launcher, cgroups: Cgroups, maker: Maker,
        program: criu.Criu, settings: Settings,
    ) -> None:  # fmt: skip
        self._workloads, self._attachments, self._launcher = workloads, attachments, launcher
        self._cgroups, self._maker, self._criu, self._settings = cgroups, maker, program, settings
        self._fast = settings.run_path / "platform" / "moves"
        self._known: dict[str, Arrival] = {}
        self._bytes: dict[str, int] = {}
        """Of those that have come whole."""
        self._tasks = TaskGroup("arrivals")

    def told(self) -> list[platform.Workload]:
        """Those that do not run yet."""
        waiting = [(name, arrival) for name, arrival in self._known.items() if not self._workloads.find(name)]
        return [
            platform.Workload(
                id=name,
                state="held" if arrival.record.phase in ("held", "resumed") else "receiving",
                started_at=arrival.record.started_at,
                log_path=arrival.record.log_path,
            )
            for name, arrival in waiting
        ]

    async def recover(self) -> None:
        """Finds held ones again, completes those that were let run, and removes what was not restored."""
        for folder, made in list(bundle.records(self._maker.workloads)):
            record = Record.read(folder)
            if record is None:
                continue
            arrival = self._known[folder.name] = self._found(folder, record)
            if made is not None:
                self._watch(arrival)
            elif record.phase == "resumed":
                await self._complete(arrival)
            elif _is_held(folder, record):
                record.phase = "held"
            else:
                await self.abandon(folder.name)

    def _found(self, folder: Path, record: Record) -> Arrival:
        moved = self._fast / f"{folder.name}.in"
        return Arrival(folder.name, folder, moved, record, Mover(record.mover, record.mover_start, moved))

    async def receive(self, request: ReceiveRequest) -> Peer:
        """Makes everything ready for a workload that comes; where the source's mover is to connect."""
        name = request.request.id
        membership = cluster.load(self._settings.state_path)
        if membership is None:
            raise FailedPrecondition("this host is in no cluster")
        if self._workloads.find(name):
            raise AlreadyExists(f"container {name} exists on this host")
        if request.request.log_sink is not None:
            raise FailedPrecondition(f"container {name} cannot be moved: its log goes to a log server")
        await self.abandon(name)
        host = cluster.Place.parse(membership.address).host
        return await finish(self._tasks, self._receive(request, host))

    async def _receive(self, request: ReceiveRequest, host: str) -> Peer:
        name, ticket = request.request.id, ids.new_token()
        criu.ensure_fast(self._fast)
        await self._launcher.fresh(partial(self._criu.learn_features, self._fast, self._settings.run_path))
        moved = self._fast / f"{name}.in"
        movers.remove(moved)  # a platform that was killed before it had written a record
        (moved / "images").mkdir(mode=0o700, parents=True)
        record = self._maker.record(request)
        mover = await movers.start(moved, self._config(record, moved, host.strip("[]"), ticket), self._launcher.plain)
        record.mover, record.mover_start = mover.pid, mover.start
        arrival = self._known[name] = Arrival(name, self._maker.folder(name), moved, record, mover)
        try:
            port = (await mover.ask("listening"))["port"]
            with telemetry.span("ready for arrival"):
                await self._launcher.fresh(partial(self._maker.make, arrival, request.request))
            arrival.ahead = self._tasks.start(self._ahead(arrival), "ahead")
        except BaseException as error:
            await asyncio.shield(self.abandon(name))
            if isinstance(error, OSError):
                raise FailedPrecondition(f"container {name} cannot be taken in: {error}") from None
            raise
        return Peer(node=ids.node_id(self._settings.state_path), address=f"{host}:{port}", ticket=ticket)

    def _config(self, record: Record, moved: Path, host: str, ticket: str) -> dict[str, object]:
        words = ("1", "0") if self._cgroups.v2 else ("FROZEN", "THAWED")
        freezer = self._cgroups.directory(record.cgroup, "freezer")
        return {
            "side": "target",
            "host": host,
            "ticket": ticket,
            "certificates": str(cluster.folder(self._settings.state_path)),
            "images": str(moved / "images"),
            "log": record.log_path,
            "freezer": str(freezer / ("cgroup.freeze" if self._cgroups.v2 else "freezer.state")),
            "frozen": words[0],
            "thawed": words[1],
            "members": str(freezer / "cgroup.procs"),
            "v2": self._cgroups.v2,
        }

    async def _ahead(self, arrival: Arrival) -> Ahead:
        """What needs neither its files nor the dump, as soon as the source has said what it expects."""
        try:
            said = await arrival.mover.ask("expected", seconds=None)
            manifest = msgspec.convert(said["manifest"], moving.Manifest)
            with telemetry.span("mount for arrival"):
                find = partial(self._maker.sources, arrival, manifest)
                return Ahead(manifest, await self._launcher.beside(arrival.record.monitor, find))
        except (ShoalError, OSError) as error:
            return Ahead(failed=error)

    async def restore(self, name: str) -> int:
        """Restores it up to the last moment; how long it took, in nanoseconds. A failure leaves nothing here.

        Its files are here, all else may still be on its way.
        """
        if name not in self._known and self._workloads.find(name):
            return 0  # it runs, and has settled
        arrival = self._get(name)
        return await finish(self._tasks, self._restore(arrival))

    def _get(self, name: str) -> Arrival:
        found = self._known.get(name)
        if found is None:
            raise NotFound(f"No such container: {name}")
        return found

    async def _restore(self, arrival: Arrival) -> int:
        begun, record = clock.now_ns(), arrival.record
        async with arrival.lock:
            if record.phase != "receiving" or arrival.ahead is None:
                return 0
            try:
                ahead = await asyncio.shield(arrival.ahead)
                if ahead.failed is not None:
                    raise ahead.failed
                record.phase = "restoring"
                record.write(arrival.folder)
                mount = partial(self._maker.mount_root, arrival, ahead.manifest)
                await self._launcher.beside(record.monitor, mount)
                ahead = await self._dumped(arrival, ahead)
                with telemetry.span("criu restore"):
                    await arrival.held(self._request(arrival, ahead))
                options = self._set_options(criu.held(arrival.folder), ahead.manifest)
                kept = arrival.mover.ask("kept", seconds=590, do="keep", all=record.memory)
                for failed in await asyncio.gather(options, kept, return_exceptions=True):
                    if isinstance(failed, BaseException):
                        raise failed
                record.phase = "held"
                record.write(arrival.folder)
            except BaseException as error:
                await self._remove(arrival)
                if isinstance(error, OSError):
                    raise FailedPrecondition(f"container {arrival.name} cannot be restored: {error}") from None
                raise
        return clock.now_ns() - begun

    @staticmethod
    def _waits(arrival: Arrival) -> bool:
        """Whether a held one can still go on: its processes are there, and so is who has their memory, or all of it."""
        record, mover = arrival.record, arrival.mover
        has_memory = not mover.over.done() or mover.happened(FILLED) is not None
        return has_memory and _is_held(arrival.folder, record)

    async def _set_options(self, pid: int, manifest: moving.Manifest) -> None:
        lacking = moving.lacking(moving.mounts(Path(f"/proc/{pid}/mountinfo").read_text()), manifest.external)
        if lacking:
            await self._launcher.beside(pid, partial(self._maker.set_options, lacking))

    async def _dumped(self, arrival: Arrival, ahead: Ahead) -> Ahead:
        """What holds, when the dump is here: mounts may have been changed since they were told of."""
        await arrival.mover.ask("received", seconds=None)
        manifest = moving.manifest((arrival.moved / MANIFEST).read_bytes())
        if manifest.external == ahead.manifest.external:
            return Ahead(manifest, ahead.sources)
        log.info("container %s: its mounts have changed while it was moved", arrival.name)
        anew = partial(self._maker.sources_anew, arrival, manifest)
        return Ahead(manifest, await self._launcher.beside(arrival.record.monitor, anew))

    def _request(self, arrival: Arrival, ahead: Ahead) -> bytes:
        root, images = self._maker.root(arrival.name), arrival.moved / "images"
        streams = {movers.STREAMS + int(number): pipe for number, pipe in ahead.manifest.streams.items()}
        return self._criu.restore(images, root, ahead.sources, streams)

    async def resume(self, name: str) -> contract.ResumeReply:
        """Lets it run when it is restored: it is a workload of this host then. Idempotent, also when all has come.

        `NotFound`: nothing is here that could go on. `FailedPrecondition`: it went on, and is lost.
        """
        if name not in self._known and (found := self._workloads.find(name)) is not None:
            return _resumed(found)
        arrival = self._get(name)
        return await finish(self._tasks, self._resume(arrival))

    async def _resume(self, arrival: Arrival) -> contract.ResumeReply:
        if arrival.record.phase in ("receiving", "restoring") and not (arrival.moved / MANIFEST).exists():
            raise NotFound(f"container {arrival.name} is not dumped")
        try:
            await self._restore(arrival)  # it may be on the way, or what asked for it
        except ShoalError as error:
            raise NotFound(error.message) from None
        async with arrival.lock:
            record = arrival.record
            if record.phase == "held":
                if not self._waits(arrival):
                    await self._remove(arrival)
                    raise NotFound(f"container {arrival.name} has ended before it went on")
                record.phase = "resumed"
                record.write(arrival.folder)
            elif record.phase != "resumed":
                raise NotFound(f"container {arrival.name} is not restored")
            if self._workloads.find(arrival.name) is None:
                await self._complete(arrival)
            return _resumed(self._workloads.get(arrival.name))

    async def _complete(self, arrival: Arrival) -> None:
        """Its processes run when this returns, or have ended, and it is one of the workloads."""
        arrival.let_run()
        if arrival.sync >= 0:
            await self._launcher.plain(partial(_await_monitor, arrival))
        completing = partial(self._maker.finish, arrival)
        try:
            made = await self._launcher.beside(arrival.record.monitor, completing)
        except ProcessLookupError:  # it has ended by now, and so has its monitor, with all that was mounted there
            made = await self._launcher.plain(completing)
        self._maker.discard_outside(arrival.name)
        workload = self._workloads.keep(Workload(made, arrival.folder, waits=False))
        await self._attachments.join(workload)
        self._watch(arrival)

    def _watch(self, arrival: Arrival) -> None:
        self._tasks.start(self._ended(arrival), "mover")

    async def _ended(self, arrival: Arrival) -> None:
        """What follows when all memory is there; and when it cannot come, whoever was killed."""
        await asyncio.shield(arrival.mover.over)
        if self._known.get(arrival.name) is not arrival:
            return
        if arrival.mover.happened(FILLED) is None:
            await self._launcher.plain(partial(self._end_all, arrival))
            return
        self._bytes[arrival.name] = int(arrival.mover.happened(SETTLED) or 0)
        (arrival.folder / ARRIVAL).unlink(missing_ok=True)
        del self._known[arrival.name]
        arrival.close()
        self._drop(arrival)

    def _end_all(self, arrival: Arrival) -> None:
        """Blocking. Nobody may read memory that never came."""
        group = arrival.record.cgroup
        self._cgroups.freeze(group, True)
        self._cgroups.signal(group, signal.SIGKILL)
        self._cgroups.freeze(group, False)

    async def settle(self, name: str) -> int:
        """Returns when all memory is there; bytes that came. `FailedPrecondition`: it is lost with the workload."""
        arrival = self._known.get(name)
        if arrival is None:
            if self._workloads.find(name) is None:
                raise NotFound(f"No such container: {name}")
            return self._bytes.get(name, 0)
        if arrival.record.phase != "resumed":
            raise FailedPrecondition(f"container {name} is not resumed")
        settled = await arrival.settled(SETTLED)
        if name in self._bytes:  # and its folder is gone by now
            return self._bytes[name]
        if settled is None:
            reason = arrival.mover.happened(LOST) or "the process that carried it was killed"
            raise FailedPrecondition(f"container {name} was lost with memory that had not come: {reason}")
        return int(settled)

    async def abandon(self, name: str) -> None:
        """Nothing of it is left when this returns. `Conflict` when it was let run."""
        arrival = self._known.get(name)
        if arrival is None:
            if self._workloads.find(name):
                raise Conflict(f"container {name} runs here")
            return
        if arrival.record.phase == "resumed":
            raise Conflict(f"container {name} runs here")
        await arrival.mover.kill()  # whoever waits for it goes on
        async with arrival.lock:
            if self._known.get(name) is arrival:
                if arrival.record.phase == "resumed":
                    raise Conflict(f"container {name} runs here")
                await self._remove(arrival)

    async def _remove(self, arrival: Arrival) -> None:
        await arrival.mover.kill()
        await self._launcher.plain(partial(self._clear, arrival))
        self._known.pop(arrival.name, None)
        arrival.close()
        self._drop(arrival)

    def _drop(self, arrival: Arrival) -> None:
        movers.remove(arrival.moved)
        criu.drop_fast(self._fast)

    def _clear(self, arrival: Arrival) -> None:
        """Blocking. criu and what it has restored end together, while no socket of theirs speaks."""
        self._maker.discard(arrival)

    async def forget(self, name: str) -> None:
        """A workload is removed that had come here."""
        arrival = self._known.pop(name, None)
        self._bytes.pop(name, None)
        if arrival is not None:
            await arrival.mover.kill()
            arrival.close()
            self._drop(arrival)

    async def close(self) -> None:
        """What is held, and what pages still come for, goes on."""
        await self._tasks.close()
        for arrival in self._known.values():
            arrival.close()


def _resumed(workload: Workload) -> contract.ResumeReply:
    made, ran = workload.record, criu.ran_at(workload.folder)
    return contract.ResumeReply(
        pid=made.pid,
        log_path=made.log_path,
        started_at=made.started_at,
        resumed_at=ran,
        ago_ns=clock.now_ns() - ran if ran else 0,
    )


def _is_held(folder: Path, record: Record) -> bool:
    """Whether its processes, and the monitor they belong to, wait."""
    monitored = process.start_time(record.monitor) == record.monitor_start
    return monitored and process.lives(criu.held(folder))


def _await_monitor(arrival: Arrival) -> None:
    """Blocking, until the monitor has heard that the processes run. If they do not, their end is told as any other."""
    try:
        monitor.read_pid(arrival.sync, arrival.record.monitor)
    except (monitor.RuntimeFailure, Internal) as failure:
        log.error("container %s ended at the last moment: %s", arrival.name, failure)
