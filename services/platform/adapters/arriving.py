"""Making one arrival: its bundle, groups and monitor; what is mounted for it; and undoing that. Blocking."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from shared import hostmounts
from shared.config import Settings
from shared.contracts.common import Mount
from shared.contracts.migration_driver import ReceiveRequest
from shared.contracts.platform import CreateRequest
from shared.errors import FailedPrecondition, ShoalError

from ..domain import moving
from . import bundle, criu, monitor, movers, process, rootfs, rotation, syscalls
from .cgroup import Cgroups
from .creation import LEAST_LOG, Creator
from .images import MAKING
from .movers import Mover
from .runtime import Runtime, Runtimes

ARRIVAL = "arrival.json"
RESTORE_SECONDS = 300.0
_IN_CREATE, _IN_CLOSE_WRITE = 0x100, 0x8


class Record(msgspec.Struct, kw_only=True):
    """What is kept of an arrival. `phase`: `receiving`, `restoring`, `held`, `resumed`."""

    phase: str = "receiving"
    memory: bool = False
    """Strategy copy: all memory must be here before it is held."""
    rootfs: tuple[Mount, ...]
    cgroup: str
    log_path: str
    log_bytes: int = 0
    log_compress: bool = False
    stdin: bool = False
    stdin_once: bool = False
    started_at: int = 0
    mover: int = 0
    mover_start: int = 0
    monitor: int = 0
    monitor_start: int = 0
    share: str = ""
    limits: dict[str, Any] = {}
    """The processor's, set when it runs."""

    def write(self, folder: Path) -> None:
        """In one step."""
        temporary = folder / f".{ARRIVAL}"
        temporary.write_bytes(msgspec.json.encode(self))
        os.rename(temporary, folder / ARRIVAL)

    @classmethod
    def read(cls, folder: Path) -> Record | None:
        """None: this workload was made here, or has settled."""
        try:
            return msgspec.json.decode((folder / ARRIVAL).read_bytes(), type=cls)
        except (OSError, msgspec.DecodeError):
            return None


@dataclass(frozen=True)
class Ahead:
    """What could be done before the dump had come: `sources` of what is mounted from outside; or how it `failed`."""

    manifest: moving.Manifest = field(default_factory=partial(moving.Manifest, external=()))
    sources: Mapping[str, str] = field(default_factory=dict)
    failed: ShoalError | OSError | None = None


class Arrival:
    """One workload's: its bundle `folder`, and `moved` with its images."""

    def __init__(self, name: str, folder: Path, moved: Path, record: Record, mover: Mover) -> None:
        self.name, self.folder, self.moved, self.record, self.mover = name, folder, moved, record, mover
        self.lock = asyncio.Lock()
        self.gate: movers.Fifo | None = None
        self.ahead: asyncio.Task[Ahead] | None = None
        self.sync = -1
        """The monitor says here what became of the restore."""

    async def held(self, request: bytes) -> None:
        """Has criu begin and waits until all is restored; `FailedPrecondition` with its reason when it fails."""
        assert self.gate is not None
        line, gate = request.hex().encode(), self.gate
        if not await self._made(self.folder, lambda: criu.held(self.folder), lambda: gate.tell(line)):
            said = criu.reason(self.moved / "images" / "restore.log") or _said(self.sync)
            raise FailedPrecondition(f"container {self.name} cannot be restored: {said}")

    async def _made(self, folder: Path, made: Callable[[], object], begin: Callable[[], object]) -> bool:
        """Begins something and waits until a file is `made` in the folder; False: the monitor said that it failed."""
        loop, done = asyncio.get_running_loop(), asyncio.Event()
        watch = syscalls.inotify(str(folder), _IN_CREATE | _IN_CLOSE_WRITE)

        def look() -> None:
            with contextlib.suppress(BlockingIOError):
                os.read(watch, 1 << 14)
            if made():
                done.set()

        try:
            loop.add_reader(watch, look)
            loop.add_reader(self.sync, done.set)
            begin()
            look()
            async with asyncio.timeout(RESTORE_SECONDS):
                await done.wait()
        finally:
            loop.remove_reader(watch)
            loop.remove_reader(self.sync)
            syscalls.watch_no_more(watch)
        return bool(made())

    async def settled(self, mark: str) -> str | None:
        """The text of that file of the mover's as soon as it is there; None: the mover has ended without."""
        watch = syscalls.inotify(str(self.moved), _IN_CREATE | _IN_CLOSE_WRITE)
        loop, changed = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(watch, changed.set)
        self.mover.over.add_done_callback(lambda _: changed.set())
        try:
            while not (text := self.mover.happened(mark)) and not self.mover.over.done():
                await changed.wait()
                changed.clear()
                with contextlib.suppress(BlockingIOError):
                    os.read(watch, 1 << 14)
            return text or self.mover.happened(mark)
        finally:
            loop.remove_reader(watch)
            syscalls.watch_no_more(watch)

    def let_run(self) -> None:
        """Gives criu the word, if it still waits for it."""
        self.mover.hurry()
        with contextlib.suppress(OSError):  # ENXIO: it waits no more
            descriptor = os.open(self.folder / criu.GO, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                os.write(descriptor, b"go\n")
            finally:
                os.close(descriptor)

    def close(self) -> None:
        if self.gate is not None:
            self.gate.close()
        if self.sync >= 0:
            os.close(self.sync)
            self.sync = -1
        self.mover.close()


class _Gate(Runtime):
    """What the monitor takes for a runtime."""

    def __init__(self, words: list[str]) -> None:
        super().__init__("gate", words[0], Path())
        self._words = words[1:]

    def arguments(self) -> list[str]:
        return self._words


class Maker:
    """Makes arrivals as `Creator` makes workloads."""

    def __init__(
        self, creator: Creator, program: monitor.Program, runtimes: Runtimes, cgroups: Cgroups, restorer: criu.Criu,
        settings: Settings,
    ) -> None:  # fmt: skip
        self._creator, self._program, self._runtimes, self._cgroups = creator, program, runtimes, cgroups
        self._criu, self._settings = restorer, settings

    @property
    def workloads(self) -> Path:
        """The folder of all bundles."""
        return self._creator.run / "workloads"

    def folder(self, name: str) -> Path:
        return self._creator.folder(name)

    def root(self, name: str) -> Path:
        return self._creator.root(name)

    def _outside(self, name: str) -> Path:
        """Below it are the mounts that a workload gets from outside its images."""
        root = self._creator.root(name)
        return root.with_name(f"{root.name}.outside")

    def record(self, wanted: ReceiveRequest) -> Record:
        """The beginning."""
        request = wanted.request
        log = self._creator.log_path(request.id, request.process.tty) if request.log.type != "none" else ""
        return Record(
            memory=wanted.strategy == "copy",
            rootfs=request.rootfs,
            cgroup=self._creator.cgroup(request, self._settings.cgroup_parent),
            log_path=str(log),
            log_bytes=request.log_bytes,
            log_compress=request.log_compress,
            stdin=request.process.stdin,
            stdin_once=request.stdin_once,
            started_at=wanted.started_at,
        )

    def make(self, arrival: Arrival, request: CreateRequest) -> None:
        """In a fresh mount namespace: everything up to a monitor whose gate waits for criu's words."""
        folder, record = arrival.folder, arrival.record
        folder.mkdir(mode=0o700)
        record.write(folder)
        for place in (self.root(arrival.name), self._outside(arrival.name)):
            place.mkdir(mode=0o700, exist_ok=True)
        config = self._creator.configure(request, record.cgroup)
        (folder / "config.json").write_bytes(msgspec.json.encode(config))
        self._make_group(record, config)
        criu.cache_features(self._settings.run_path / "platform" / "moves", self._settings.run_path)
        hostmounts.mount("outside", self._outside(arrival.name), "tmpfs", hostmounts.MS_NOSUID, "mode=700")
        self._start_monitor(arrival, request, config)
        record.write(folder)

    def _make_group(self, record: Record, config: dict[str, Any]) -> None:
        """Without limits of processor time: criu works in it, and others wait."""
        group = record.cgroup
        limits = dict(config["linux"]["resources"])
        self._cgroups.prepare(group, (*limits.pop("devices"), *MAKING))
        for_later = {"cpu": limits.pop("cpu")} if "cpu" in limits else {}
        self._cgroups.limit(group, limits)
        record.share = self._cgroups.share(group)
        record.limits = for_later
        self._cgroups.hurry(group)

    def _start_monitor(self, arrival: Arrival, request: CreateRequest, config: dict[str, Any]) -> None:
        folder, record = arrival.folder, arrival.record
        namespaces = {each["type"]: each.get("path", "") for each in config["linux"]["namespaces"]}
        members = [place / "cgroup.procs" for place in self._cgroups.folders(record.cgroup)]
        told = movers.write_gate(
            folder, self._criu.path, namespaces.get("network", ""),
            groups=members, cgroup_namespace="cgroup" in namespaces,
        )  # fmt: skip
        arrival.gate = movers.Fifo(folder / "gate")
        gate = _Gate(movers.python("services.platform.mover.gate", str(told)))
        log = f"k8s-file:{record.log_path}" if record.log_path else "none"
        arguments = monitor.common_arguments(gate, arrival.name, folder, log)
        arguments += monitor.stream_arguments(record.stdin, record.stdin_once, False)
        arguments += ["--restore", str(arrival.moved / "images")]
        if record.log_path and record.log_bytes:
            arguments += ["--log-size-max", str(max(record.log_bytes, LEAST_LOG))]
        arrival.sync, writer = os.pipe2(os.O_CLOEXEC)
        try:
            record.monitor = self._program.spawn(arguments, {"_OCI_SYNCPIPE": writer})
        finally:
            os.close(writer)
        record.monitor_start = process.start_time(record.monitor)

    def mount_root(self, arrival: Arrival, manifest: moving.Manifest) -> None:
        """In the monitor's mount namespace, when nothing is written to its layer any more."""
        rootfs.mount_root(arrival.record.rootfs, self.root(arrival.name))
        self._make_places(arrival, manifest)

    def _make_places(self, arrival: Arrival, manifest: moving.Manifest) -> None:
        inside = rootfs.open_root(self.root(arrival.name))
        try:
            for each in moving.in_root(manifest.external):
                rootfs.make_place(inside, each.point, each.folder)
        finally:
            os.close(inside)

    def sources(self, arrival: Arrival, manifest: moving.Manifest, prefix: str = "") -> dict[str, str]:
        """In the monitor's mount namespace: what is to be mounted at each point that comes from outside."""
        config = msgspec.json.decode((arrival.folder / "config.json").read_bytes())
        return {
            each.point: self._source(arrival, each, f"{prefix}{number}", config["mounts"])
            for number, each in enumerate(manifest.external)
        }

    def sources_anew(self, arrival: Arrival, manifest: moving.Manifest) -> dict[str, str]:
        """The same when others had been made, and its root is mounted."""
        self._make_places(arrival, manifest)
        return self.sources(arrival, manifest, "anew-")

    def _source(self, arrival: Arrival, wanted: moving.External, name: str, mounts: list[dict[str, Any]]) -> str:
        place = self._outside(arrival.name) / name
        if wanted.kind == "tmpfs":
            criu.build(wanted, place)
            return str(place)
        if wanted.kind == "cgroup":
            name = "" if self._cgroups.v2 else Path(wanted.point).name
            return str(self._cgroups.directory(arrival.record.cgroup, name))
        if wanted.kind == "mask":
            if not wanted.folder:
                return os.devnull
            place.mkdir(mode=0o555)
            hostmounts.mount("mask", place, "tmpfs", hostmounts.MS_RDONLY, "mode=555")
            return str(place)
        source = moving.bind_source(wanted.point, mounts)
        if not source or not os.path.lexists(source):
            raise FailedPrecondition(f"container {arrival.name} cannot be restored: nothing is here for {wanted.point}")
        return source

    @staticmethod
    def set_options(lacking: Mapping[str, int]) -> None:
        """In the mount namespace of the restored processes: flags by point."""
        for point, flags in lacking.items():
            hostmounts.mount("", point, "", hostmounts.MS_REMOUNT | hostmounts.MS_BIND | flags)

    def finish(self, arrival: Arrival) -> bundle.Record:
        """In the monitor's mount namespace, when its processes run: it becomes a workload as any other."""
        record, folder = arrival.record, arrival.folder
        with contextlib.suppress(OSError):
            hostmounts.unmount(self._outside(arrival.name))
        pid = criu.held(folder)
        self._cgroups.hurried(record.cgroup, record.share)
        self._cgroups.limit(record.cgroup, record.limits)
        self._write_runtime_state(arrival, pid)
        made = bundle.Record(
            id=arrival.name,
            pid=pid,
            pid_start=process.start_time(pid),
            monitor=record.monitor,
            monitor_start=record.monitor_start,
            runtime="crun",
            cgroup=record.cgroup,
            log_path=record.log_path,
            stdin=record.stdin,
            stdin_once=record.stdin_once,
            started_at=record.started_at,
        )
        bundle.write_record(folder, made)
        if record.log_path and record.log_bytes:
            rotation.hold(Path(record.log_path), record.log_compress)
        return made

    def _write_runtime_state(self, arrival: Arrival, pid: int) -> None:
        """As crun would have left it: the source's, with what is different here."""
        images, state = arrival.moved / "images", self._runtimes.get("crun").state / arrival.name
        state.mkdir(mode=0o700, exist_ok=True)
        status = msgspec.json.decode((images / "status").read_bytes())
        status |= {
            "pid": pid,
            "process-start-time": process.start_time(pid),
            "cgroup-path": arrival.record.cgroup,
            "rootfs": str(self.root(arrival.name)),
            "bundle": str(arrival.folder),
        }
        (state / "status").write_bytes(msgspec.json.encode(status))
        (state / "config.json").write_bytes((arrival.folder / "config.json").read_bytes())
        with contextlib.suppress(FileNotFoundError):
            (state / "seccomp.bpf").write_bytes((images / "seccomp.bpf").read_bytes())

    def discard_outside(self, name: str) -> None:
        """Removes the place where they were mounted."""
        with contextlib.suppress(OSError):
            os.rmdir(self._outside(name))

    def discard(self, arrival: Arrival) -> None:
        """Ends its processes, none of which has run, and its monitor, and removes all traces of it."""
        record = arrival.record
        process.end_started(record.monitor, record.monitor_start)
        self._creator.discard(arrival.name, self._runtimes.get("crun"), record.cgroup)
        self.discard_outside(arrival.name)
        if record.log_path:
            rotation.remove(Path(record.log_path))


def _said(sync: int) -> str:
    try:
        os.set_blocking(sync, False)
        return os.read(sync, 65536).decode(errors="replace").strip() or "the monitor was ended"
    except OSError:
        return "criu has ended"
