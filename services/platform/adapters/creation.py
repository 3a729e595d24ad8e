"""Making a workload: root, configuration, monitor, process that waits to be started. Blocking; runs in a launcher."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from shared import clock, telemetry
from shared.contracts.platform import CreateRequest
from shared.errors import Internal, InvalidArgument

from ..domain import failures, spec
from ..domain.facts import Facts
from ..domain.namespaces import own_cgroup
from ..domain.process import granted
from . import bundle, copyup, devices, image_mounts, images, monitor, process, propagation, rootfs, rotation
from . import shm as sharing
from .cgroup import Cgroups
from .native import Adapter
from .runtime import Runtime, Runtimes

LEAST_LOG = 1 << 20
"""A monitor begins a log anew at this size at the least: each time the platform has to act before the next."""


class Creator:
    """Makes workloads below `run` (bundles, roots) with logs in `logs`."""

    def __init__(
        self, run: Path, logs: Path, facts: Facts, program: monitor.Program, runtimes: Runtimes, cgroups: Cgroups,
        adapters: Sequence[Adapter],
    ) -> None:  # fmt: skip
        self.run, self.logs, self.facts = run, logs, facts
        self._program, self._runtimes, self._cgroups = program, runtimes, cgroups
        self._adapters = adapters
        self._filters: dict[tuple[object, ...], str] = {}

    def folder(self, workload: str) -> Path:
        return self.run / "workloads" / workload

    def root(self, workload: str) -> Path:
        return self.run / "roots" / workload

    def images(self, workload: str) -> Path:
        """Where the images that it has among its mounts are."""
        return self.run / "roots" / f"{workload}.images"

    def log_path(self, workload: str, tty: bool) -> Path:
        """The log's name tells whether it is a terminal's: a reader needs no other record for that."""
        return self.logs / f"{workload}{'.tty' if tty else ''}.log"

    @staticmethod
    def cgroup(request: CreateRequest, default: str) -> str:
        """The name of a workload's control group below its parent's."""
        parent = request.resources.cgroup_parent or default
        parts = [part for part in parent.split("/") if part not in ("", ".", "..")]
        return "/" + "/".join((*parts, request.id))

    def configure(self, request: CreateRequest, cgroup: str) -> dict[str, Any]:
        """The configuration of a workload that comes from another host. Its root is not mounted when this returns."""
        root = self.root(request.id)
        points = tuple(msgspec.structs.replace(point, copy_up=False) for point in request.mounts)
        try:
            encoded = self._prepare(msgspec.structs.replace(request, mounts=points, restore=None), root, cgroup, "")
        finally:
            rootfs.unmount_root(root)
        config: dict[str, Any] = msgspec.json.decode(encoded)
        return config

    def create(self, request: CreateRequest, cgroup: str, shm: str) -> bundle.Record:
        """Everything up to the waiting process. What was made is taken back when a step fails."""
        runtime = self._runtimes.get(request.runtime)
        folder, root = self.folder(request.id), self.root(request.id)
        folder.mkdir(mode=0o700)
        try:
            next(each for each in self._adapters if each.serves(request.platform)).prepare(request.platform)
            root.mkdir(mode=0o700, exist_ok=True)
            config = self._prepare(image_mounts.mounted(request, self.images(request.id)), root, cgroup, shm)
            (folder / "config.json").write_bytes(config)
            with telemetry.span("monitor.create", runtime=runtime.name):
                return self._launch(request, runtime, folder, cgroup, shm)
        except BaseException:
            rootfs.unmount_root(root)  # else this very namespace would keep it
            image_mounts.unmount(self.images(request.id))
            self.discard(request.id, runtime, cgroup)
            raise

    def discard(self, workload: str, runtime: Runtime, cgroup: str) -> None:
        """Removes all traces on the host of a workload without monitor; idempotent."""
        if cgroup:
            self._cgroups.remove(cgroup)
        sharing.drop(self.run, workload)
        runtime.forget(workload)
        with contextlib.suppress(FileNotFoundError):
            os.rmdir(self.root(workload))
        image_mounts.remove(self.images(workload))
        bundle.remove(self.folder(workload))

    def _prepare(self, request: CreateRequest, root: Path, cgroup: str, shm: str) -> bytes:
        """The root mounted and filled; the encoded configuration."""
        propagation.check(request.mounts)
        with telemetry.span("mount.root"):
            rootfs.mount_root(request.rootfs, root)
        inside = rootfs.open_root(root)
        try:
            ids = rootfs.lookup(inside, request.process.user, request.process.group_add)
            if not request.readonly_rootfs:
                rootfs.mark(inside)
            _make_places(inside, request)
            for point in request.mounts:
                if point.copy_up:
                    copyup.fill(inside, point.destination, point.source)
        finally:
            os.close(inside)
        inputs = spec.Inputs(
            root=str(root),
            cgroup_path=cgroup,
            ids=ids,
            nodes=devices.requested(request),
            shm=shm,
            filter_bpf=self._filters.get(self._filter_key(request), ""),
        )
        config = spec.build(request, self.facts, inputs, devices.numbers)
        if request.restore:
            images.configure(self.folder(request.id), config["annotations"])
            rules = config["linux"]["resources"].pop("devices")
            self._cgroups.prepare(cgroup, (*rules, *images.MAKING))
            if self._cgroups.v2:
                del config["linux"]["resources"]  # see _launch
        return msgspec.json.encode(config)

    def _filter_key(self, request: CreateRequest) -> tuple[object, ...]:
        return (request.seccomp, request.process.privileged, granted(request.process, self.facts), request.runtime)

    def _launch(self, request: CreateRequest, runtime: Runtime, folder: Path, cgroup: str, shm: str) -> bundle.Record:
        wanted = request.process
        log = self.log_path(request.id, wanted.tty) if request.log.type != "none" else None
        told, program = partial(failures.create_failure, program=wanted.args[0]), runtime
        if request.restore:
            namespace = own_cgroup(request.isolation, self.facts.cgroup_v2)
            program = images.inside(runtime, folder, self._cgroups.entrances(cgroup), namespace)
        arguments = monitor.common_arguments(program, request.id, folder, f"k8s-file:{log}" if log else "none")
        arguments += monitor.stream_arguments(wanted.stdin, request.stdin_once, wanted.tty)
        if request.restore:
            arguments += images.restore_arguments(request.restore)
            told = partial(images.restore_failure, folder)
        if log and request.log_bytes:
            arguments += ["--log-size-max", str(max(request.log_bytes, LEAST_LOG))]
        try:
            pid, watcher = run_monitor(self._program, arguments, told)
        except Internal:
            if wanted.tty:
                self._fail_without_terminal(runtime, folder, arguments, told)
            raise
        if request.restore and self._cgroups.v2:
            # crun may not: nobody limits the root of the cgroup namespace that he is in (nsdelegate in cgroup-v2.rst)
            self._cgroups.limit(cgroup, spec.limits(request, self.facts, devices.numbers))
        if log and request.log_bytes:
            rotation.hold(log, request.log_compress)
        self._keep_filter(request, runtime)
        record = bundle.Record(
            id=request.id,
            pid=pid,
            pid_start=process.start_time(pid),
            monitor=watcher,
            monitor_start=process.start_time(watcher),
            runtime=runtime.name,
            cgroup=cgroup,
            log_path=str(log or ""),
            tty=wanted.tty,
            stdin=wanted.stdin,
            stdin_once=request.stdin_once,
            started_at=clock.now_ns() if request.restore else 0,
            shm=shm,
        )
        bundle.write_record(folder, record)
        return record

    def _fail_without_terminal(
        self, runtime: Runtime, folder: Path, arguments: list[str], tell: Callable[[str], str]
    ) -> None:
        """Raises why the runtime refuses, if it refuses without a terminal, too.

        When the process that was to have the terminal goes, conmon leaves at once and takes the runtime with it, which
        has not said why by then.
        """
        runtime.forget(folder.name)
        for left in ("attach", "ctl", "winsz", "pidfile"):
            (folder / left).unlink(missing_ok=True)
        config = msgspec.json.decode((folder / "config.json").read_bytes())
        config["process"]["terminal"] = False
        (folder / "config.json").write_bytes(msgspec.json.encode(config))
        pid, watcher = run_monitor(self._program, [each for each in arguments if each != "-t"], tell)
        os.kill(pid, signal.SIGKILL)
        process.reap_now(watcher)

    def _keep_filter(self, request: CreateRequest, runtime: Runtime) -> None:
        """The filter that the runtime compiled serves the next workload with the same profile and capabilities."""
        key = self._filter_key(request)
        if key not in self._filters and (compiled := runtime.filter_bpf(request.id)):
            self._filters[key] = compiled


def _make_places(root: int, request: CreateRequest) -> None:
    """What links lead to where something is to be mounted; other places that are missing the runtime makes."""
    places = dict.fromkeys(request.files, False) | dict.fromkeys(request.tmpfs, True)
    places |= {point.destination: point.type == "tmpfs" or os.path.isdir(point.source) for point in request.mounts}
    for place, folder in places.items():
        with contextlib.suppress(OSError):  # the runtime says what is wrong
            if rootfs.leads_nowhere(root, place):
                rootfs.make_place(root, place, folder)


def run_monitor(program: monitor.Program, arguments: list[str], tell: Callable[[str], str]) -> tuple[int, int]:
    """Starts a monitor and waits for the process it makes: pids of process and monitor.

    Raises `InvalidArgument` with `tell`'s message when the runtime refuses.
    """
    reader, writer = os.pipe2(os.O_CLOEXEC)
    try:
        watcher = program.spawn(arguments, {"_OCI_SYNCPIPE": writer})
    finally:
        os.close(writer)
    try:
        return monitor.read_pid(reader, watcher), watcher
    except (monitor.RuntimeFailure, Internal) as failure:
        process.reap_now(watcher)
        if isinstance(failure, Internal):
            raise
        raise InvalidArgument(tell(str(failure))) from None
    finally:
        os.close(reader)
