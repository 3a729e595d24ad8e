"""Control groups of workloads, v1 and v2, by their files (cgroups(7))."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import signal
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from shared.errors import Conflict, InvalidArgument

from ..domain import device_program, stats
from ..domain.limits import Limits, Write, writes
from . import syscalls

MOUNT = Path("/sys/fs/cgroup")
PATIENCE = 10.0
"""Seconds until a group that should be empty or frozen is given up."""
CONTROLLERS = frozenset({"cpu", "cpuset", "hugetlb", "io", "memory", "misc", "pids"})
"""What groups v2 get: as crun gives it, so that one that is made here has no other files than one of crun's."""


class Cgroups:
    """All groups of this host. A group is named by its path below the hierarchies' roots, as `/shoal/<id>`."""

    def __init__(self, mount: Path = MOUNT) -> None:
        self.v2 = (mount / "cgroup.controllers").exists()
        self._mount = mount
        self._roots = [mount] if self.v2 else sorted(_hierarchies(mount))

    def directory(self, group: str, controller: str = "") -> Path:
        """Folder of a group; on v1 in the hierarchy of that controller."""
        root = self._mount if self.v2 else self._mount / (controller or "pids")
        return root / group.lstrip("/")

    def controllers(self) -> list[str]:
        """Names of the controllers that this host has."""
        if self.v2:
            return (self._mount / "cgroup.controllers").read_text().split()
        return [name for root in self._roots for name in root.name.split(",")]

    def counts_swap(self) -> bool:
        """Whether swap is accounted (v2: a file of every group but the root one)."""
        if self.v2:
            return any((folder / "memory.swap.max").exists() for folder in self._mount.iterdir() if folder.is_dir())
        return (self._mount / "memory" / "memory.memsw.limit_in_bytes").exists()

    def real_time(self) -> bool:
        """Whether real-time CPU time can be given to a group (v1 with CONFIG_RT_GROUP_SCHED)."""
        return not self.v2 and (self._mount / "cpu" / "cpu.rt_runtime_us").exists()

    def joining(self, group: str, first: int) -> list[str]:
        """How a further process gets in. v1: files of all hierarchies, by which a thread moves itself with a `0`; a
        process of one thread is then in as a whole. v2: folders, one of which it is made in: the group, and where that
        has no room for processes, because it has groups below, the one of the process `first`.

        A thread moves itself at once; before any other move, by `cgroup.procs` too, the kernel waits for an RCU grace
        period (kernel/cgroup/cgroup.c, cgroup_procs_write_start), 7 to 15 ms.
        """
        if self.v2:
            with contextlib.suppress(OSError):
                own = Path(f"/proc/{first}/cgroup").read_text().strip().rpartition(":")[2]
                return [str(self.directory(group)), str(self.directory(own))]
            return [str(self.directory(group))]
        files = (folder / "tasks" for folder in self.folders(group))
        return [str(file) for file in files if file.exists()]

    def read(self, group: str) -> dict[str, str]:
        """The texts of the usage files."""
        wanted = {"": stats.FILES_V2} if self.v2 else stats.FILES_V1
        found = {}
        for controller, names in wanted.items():
            folder = self.directory(group, controller)
            for name in names:
                with contextlib.suppress(OSError):
                    found[name] = (folder / name).read_text()
        return found

    def limit(self, group: str, limits: Limits) -> None:
        """Sets limits of a living group; a failure takes back what was set.

        `Conflict`: more is in use than the limit allows. `InvalidArgument`: the kernel does not take it.
        """
        cpu_max = ""
        with contextlib.suppress(OSError):
            cpu_max = (self.directory(group, "cpu") / "cpu.max").read_text() if self.v2 else ""
        undo: list[tuple[Path, str]] = []
        try:
            # One limit may have to grow before another one can (memory and its sum with swap): those come again.
            early = [each for each in writes(limits, self.v2, cpu_max) if not self._write(group, each, undo, True)]
            for each in early:
                self._write(group, each, undo)
        except OSError as error:
            for path, text in reversed(undo):
                with contextlib.suppress(OSError):
                    path.write_text(text)
            kind = Conflict if error.errno == errno.EBUSY else InvalidArgument
            raise kind(f"{Path(error.filename).name if error.filename else 'cgroup'}: {error.strerror}") from None

    def _write(self, group: str, wanted: Write, undo: list[tuple[Path, str]], may_fail: bool = False) -> bool:
        """Whether it was written; a value that the kernel does not take (yet) is no error when it `may_fail`."""
        folder = self.directory(group, wanted.controller)
        path = next((folder / name for name in wanted.names if (folder / name).exists()), None)
        if path is None and wanted.optional:
            return True
        path = path or folder / wanted.names[0]
        before = path.read_text()
        try:
            path.write_text(wanted.text)
        except OSError as error:
            if may_fail and error.errno == errno.EINVAL:
                return False
            raise OSError(error.errno, error.strerror, str(path)) from None
        undo.append((path, before))
        return True

    def entrances(self, group: str) -> list[Path]:
        """Files by which a process moves itself in with a `0`: v1's in all hierarchies, for a process of one thread."""
        return [folder / ("cgroup.procs" if self.v2 else "tasks") for folder in self.folders(group)]

    def folders(self, group: str) -> list[Path]:
        """A group's folders in all hierarchies."""
        return [root / group.lstrip("/") for root in self._roots]

    def prepare(self, group: str, rules: Iterable[Mapping[str, Any]]) -> None:
        """Makes a group in all hierarchies before a process is in it, with these device rules (runtime-spec)."""
        if self.v2:
            self._make_v2(self.directory(group))
            return restrict(self.directory(group), rules)
        for root, folder in zip(self._roots, self.folders(group), strict=True):
            folder.mkdir(parents=True, exist_ok=True)
            if "cpuset" in root.name.split(","):
                _fill_cpuset(root, folder)
        devices = self.directory(group, "devices")
        for rule in rules:
            number = ":".join(str(rule.get(name, "*")) for name in ("major", "minor"))
            text = f"{rule.get('type', 'a')} {number} {rule.get('access', 'rwm')}"
            (devices / ("devices.allow" if rule["allow"] else "devices.deny")).write_text(text)
        return None

    def _make_v2(self, folder: Path) -> None:
        """With all of `CONTROLLERS` that its parents can give it."""
        folder.mkdir(parents=True, exist_ok=True)
        parts = folder.relative_to(self._mount)
        for above in (self._mount / part for part in reversed(parts.parents)):
            for controller in CONTROLLERS.intersection((above / "cgroup.controllers").read_text().split()):
                with contextlib.suppress(OSError):
                    (above / "cgroup.subtree_control").write_text(f"+{controller}")

    def hurry(self, group: str) -> None:
        """Gives the group far more than its share of a busy processor, until it is limited anew."""
        with contextlib.suppress(OSError):
            name, most = ("cpu.weight", "10000") if self.v2 else ("cpu.shares", "262144")
            (self.directory(group, "cpu") / name).write_text(most)

    def share(self, group: str) -> str:
        """The group's share of the processors, as `hurried` takes it back."""
        with contextlib.suppress(OSError):
            return (self.directory(group, "cpu") / ("cpu.weight" if self.v2 else "cpu.shares")).read_text()
        return ""

    def hurried(self, group: str, share: str) -> None:
        """Undoes `hurry`."""
        with contextlib.suppress(OSError):
            (self.directory(group, "cpu") / ("cpu.weight" if self.v2 else "cpu.shares")).write_text(share)

    def exists(self, group: str) -> bool:
        return self.directory(group).is_dir()

    def processes(self, group: str) -> list[int]:
        """Pids of all processes in the group and the groups below it."""
        pids: list[int] = []
        for folder in _tree(self.directory(group)):
            with contextlib.suppress(OSError):
                pids += [int(line) for line in (folder / "cgroup.procs").read_text().split()]
        return pids

    def signal(self, group: str, number: int) -> None:
        """Sends a signal to every process of the group, as it is read; for a moment on v1 a number may be another's."""
        if number == signal.SIGKILL and self.v2:
            with contextlib.suppress(OSError):
                (self.directory(group) / "cgroup.kill").write_text("1")
                return
        for pid in self.processes(group):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)

    def remove(self, group: str) -> None:
        """Ends what still runs in the group and removes it from all hierarchies. Raises `OSError` when it stays."""
        limit = time.monotonic() + PATIENCE
        for root in self._roots:
            for folder in reversed(list(_tree(root / group.lstrip("/")))):
                self._remove(folder, group, limit)

    def _remove(self, folder: Path, group: str, limit: float) -> None:
        while True:
            try:
                return os.rmdir(folder)
            except FileNotFoundError:
                return None
            except OSError as error:
                if error.errno != errno.EBUSY or time.monotonic() > limit:
                    raise
            self.freeze(group, False)  # a frozen process does not die
            self.signal(group, signal.SIGKILL)
            time.sleep(0.001)  # v1 tells nobody when a group becomes empty; the kill takes effect at once

    def freeze(self, group: str, frozen: bool) -> None:
        """Suspends or resumes all processes of the group; returns when it is so."""
        if not self.v2:
            return self._freeze_v1(group, frozen)
        folder = self.directory(group)
        with contextlib.suppress(FileNotFoundError):
            (folder / "cgroup.freeze").write_text("1" if frozen else "0")
            _await_event(folder / "cgroup.events", f"frozen {int(frozen)}")
        return None

    def _freeze_v1(self, group: str, frozen: bool) -> None:
        state = self.directory(group, "freezer") / "freezer.state"
        wanted, limit = ("FROZEN" if frozen else "THAWED"), time.monotonic() + PATIENCE
        with contextlib.suppress(FileNotFoundError):
            state.write_text(wanted)
            while state.read_text().strip() != wanted and time.monotonic() < limit:
                time.sleep(0.001)  # v1 has no notification; reading the state is what drives it on

    def frozen(self, group: str) -> bool:
        with contextlib.suppress(OSError):
            if self.v2:
                return "frozen 1" in (self.directory(group) / "cgroup.events").read_text()
            return (self.directory(group, "freezer") / "freezer.state").read_text().strip() != "THAWED"
        return False


def restrict(folder: Path, rules: Iterable[Mapping[str, Any]]) -> None:
    """Device rules for a group v2 and all below it."""
    code = device_program.program(rules)
    if code is None:
        return
    loaded = syscalls.load_device_program(code)
    try:
        group = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            syscalls.attach_device_program(group, loaded)
        finally:
            os.close(group)
    finally:
        os.close(loaded)


def _hierarchies(mount: Path) -> Iterator[Path]:
    """Mount points of the v1 hierarchies; names that are links to another hierarchy (cpu -> cpu,cpuacct) left out."""
    for path in mount.iterdir():
        if not path.is_symlink() and (path / "cgroup.clone_children").exists():
            yield path


def _fill_cpuset(root: Path, folder: Path) -> None:
    """A new v1 group has no processors and no memory nodes, and takes no process before it has."""
    parts = folder.relative_to(root)
    for below in (*tuple(reversed(parts.parents))[1:], parts):
        for name in ("cpuset.cpus", "cpuset.mems"):
            if not (root / below / name).read_text().strip():
                (root / below / name).write_text((root / below.parent / name).read_text())


def _tree(folder: Path) -> Iterator[Path]:
    """The folder and all below it, from the top."""
    if not folder.is_dir():
        return
    yield folder
    for entry in os.scandir(folder):
        if entry.is_dir(follow_symlinks=False):
            yield from _tree(Path(entry.path))


def _await_event(path: Path, line: str) -> None:
    """Waits until a cgroup.events file has `line`; the kernel wakes readers with POLLPRI."""
    limit = time.monotonic() + PATIENCE
    with open(path) as file:
        poller = select.poll()
        poller.register(file, select.POLLPRI)
        while line not in file.read().splitlines() and (left := limit - time.monotonic()) > 0:
            poller.poll(left * 1000)
            file.seek(0)
