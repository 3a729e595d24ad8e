"""criu: where it is, what it can, and what it is asked (`services.platform.mover.rpc`).

It runs in the workload's network namespace, without a network lock of its own: the freezer and the switch of the
network are the lock. It leaves control groups alone and is put into the workload's before it restores.
"""

from __future__ import annotations

import fcntl
import os
import re
import select
import shutil
import subprocess
import termios
from collections.abc import Iterable, Mapping
from pathlib import Path

from shared import hostmounts
from shared.config import Settings

from ..domain.moving import External
from ..mover import rpc
from . import syscalls
from .runtime import program

HELD, GO, RUNS, PIDFILE = "held", "go", "runs", "pidfile"
"""In the bundle: a file with the first process's pid, made when all is restored; a fifo, whose first word lets the
processes run or not; a file that is made as soon as they run; that pid, for the monitor."""
STATUS, PAGES = 3, 4
"""Descriptors of a criu that dumps: what it says to when its images are written, and who would read pages."""
PIPE_BYTES = 8 << 20
"""`fs.pipe-max-size` that criu needs for pages it leaves out: without CAP_SYS_RESOURCE it fails above the limit."""
GHOST_BYTES = 256 << 20
"""Deleted files that are still open come along up to this size each."""
RUN = Path("/run")
_ERROR = re.compile(r"Error \([^)]*\): (.*)")
_HARMLESS = re.compile("RLIMIT_NOFILE|iptables-restore|Unable to set TCP_CORK|create tun|cgroupd: recv req")
MOST_REASONS = 3


class Criu:
    """The program of this host."""

    def __init__(self, settings: Settings) -> None:
        self.path = program(settings, "criu")
        self._version: str | None = None

    def version(self) -> str:
        """As `4.2.1`; empty where there is none. Blocking at first."""
        if self._version is None:
            self._version = ""
            if self.path:
                done = subprocess.run([self.path, "--version"], capture_output=True, text=True, check=False)
                found = re.search(r"Version: (\S+)", done.stdout)
                self._version = found[1] if found else ""
        return self._version

    def learn_features(self, fast: Path, run: Path) -> None:
        """Blocking, in a fresh mount namespace: has criu find out what the kernel can, unless that is known already."""
        cache_features(fast, run)
        if self.path and not (RUN / "criu.kdat").exists():
            subprocess.run([self.path, "check"], capture_output=True, check=False)

    def dump(self, pid: int, images: Path, freezer: Path, outside: Iterable[str]) -> bytes:
        """The request: everything but private anonymous memory, whose reader would be at the descriptor `PAGES`; a byte
        to `STATUS` when done.
        """
        config = images / "criu.conf"  # what there is no field for
        config.write_text(f"ps-socket {PAGES}\nstatus-fd {STATUS}\n")
        options = [*_options(images, "dump.log"), (2, pid), (35, GHOST_BYTES), (44, str(freezer)), (51, str(config))]
        return rpc.request(rpc.DUMP, [*options, *((37, f"mnt[{point}]:{point}") for point in outside)])

    def restore(self, images: Path, root: Path, sources: Mapping[str, str], streams: Mapping[int, str]) -> bytes:
        """The request: up to the moment before its processes run; then the gate waits for its word.

        `sources`: what is mounted at the points that came from outside. `streams`: descriptor and old pipe.
        """
        options = [*_options(images, "restore.log"), (12, True), (13, str(root))]
        options += [(27, rpc.message(((1, pipe), (2, number)))) for number, pipe in streams.items()]
        return rpc.request(rpc.RESTORE, [*options, *((37, f"mnt[{point}]:{at}") for point, at in sources.items())])


def _options(images: Path, log: str) -> list[tuple[int, rpc.Value]]:
    """Of `criu_opts`: connections, lazy pages and file locks, but neither control groups nor a network lock."""
    ignore, skip, level = 0, 3, 1
    flags: list[tuple[int, rpc.Value]] = [(5, True), (7, True), (34, ignore), (48, True), (64, skip)]
    return [(1, -1), (68, str(images)), (10, log), (9, level), *flags]


def has_written(status: int) -> bool:
    """Blocking, until one that dumps has said to `STATUS`, whose other end this is, that its images are written, or has
    ended without. It stays said: whoever comes next, also another platform, need not wait.
    """
    poller = select.poll()
    poller.register(status, select.POLLIN)
    poller.poll()
    return any(fcntl.ioctl(status, termios.FIONREAD, bytes(4)))


def held(folder: Path) -> int:
    """The pid of what is restored and waits; 0: nothing does."""
    try:
        return int((folder / HELD).read_text())
    except (OSError, ValueError):
        return 0


def ran_at(folder: Path) -> int:
    """When what was held here was let run, nanoseconds since the epoch; 0: it was not."""
    try:
        return (folder / RUNS).stat().st_mtime_ns
    except OSError:
        return 0


def prepare_pipes() -> None:
    """Raises the largest size of pipes where this engine may; criu says at the dump when it is too small."""
    path = Path("/proc/sys/fs/pipe-max-size")
    try:
        if int(path.read_text()) < PIPE_BYTES:
            path.write_text(str(PIPE_BYTES))
    except OSError:
        pass


def cache_features(fast: Path, run: Path) -> None:
    """Has criu's cache of the kernel's features kept, which it does on tmpfs at /run only; saves 20 ms a call.

    Where /run is none, a folder of `fast` (a tmpfs) is mounted there, in the caller's mount namespace, and `run` in it
    if it lies there.
    """
    if is_tmpfs(RUN):
        return
    kept = fast / "criu"
    kept.mkdir(exist_ok=True, mode=0o700)
    before = os.open(run, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        hostmounts.mount("", hostmounts.mount_of(RUN)[0], flags=hostmounts.MS_PRIVATE)
        hostmounts.mount(str(kept), RUN, flags=hostmounts.MS_BIND)
        if run.is_relative_to(RUN):
            run.mkdir(parents=True, exist_ok=True)
            hostmounts.mount(f"/proc/self/fd/{before}", run, flags=hostmounts.MS_BIND | hostmounts.MS_REC)
    finally:
        os.close(before)


def is_tmpfs(path: Path) -> bool:
    """Whether files there are in memory."""
    return syscalls.file_system(path) == syscalls.TMPFS_MAGIC


def ensure_fast(path: Path) -> None:
    """Makes a folder whose files are in memory; a mount only where they would not be."""
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not is_tmpfs(path):
        hostmounts.mount("moves", path, "tmpfs", hostmounts.MS_NOSUID | hostmounts.MS_NODEV, "mode=700")


def drop_fast(path: Path) -> None:
    """Removes that folder, with what criu has found out, when no move has anything there."""
    try:
        if {entry.name for entry in path.iterdir()} <= {"criu"}:
            if hostmounts.mount_of(path)[0] == os.path.realpath(path):
                hostmounts.unmount(path)
            shutil.rmtree(path, ignore_errors=True)
    except FileNotFoundError:
        pass


def reason(log: Path) -> str:
    """The errors of a log of criu's but those that stop nothing."""
    try:
        found = [error for error in _ERROR.findall(log.read_text(errors="replace")) if not _HARMLESS.search(error)]
    except OSError:
        return ""
    return f"criu failed: {'; '.join(found[:MOST_REASONS])}" if found else ""


def build(external: External, place: Path) -> None:
    """Makes a tmpfs at `place` as the source's was."""
    place.mkdir(mode=0o700)
    hostmounts.mount("tmpfs", place, "tmpfs", hostmounts.MS_NOSUID, external.data)
    for entry in external.entries:
        path = place / entry.name
        if entry.target:
            path.symlink_to(entry.target)
        elif entry.device:
            os.mknod(path, entry.mode, entry.device)
            path.chmod(entry.mode & 0o7777)
        else:
            path.mkdir()
            path.chmod(entry.mode & 0o7777)
