"""Mounts of the host that several engine services must see, whichever mount namespace each of them lives in.

A mount made by one service is visible to another in a private mount namespace only when it is made below a
mount with shared propagation that existed before the other left (mount_namespaces(7)). Whoever makes mounts for
others, and whoever leaves the host's mount namespace, calls `prepare` first; whoever comes first does the work.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from shared.config import Settings

MS_RDONLY = 1
MS_NOSUID = 2
MS_NODEV = 4
MS_NOEXEC = 8
MS_REMOUNT = 32
MS_BIND = 4096
MS_REC = 16384
MS_PRIVATE = 1 << 18
MS_SHARED = 1 << 20
MNT_DETACH = 2
UMOUNT_NOFOLLOW = 8

_libc = ctypes.CDLL(None, use_errno=True)


class MountAt(NamedTuple):
    """The mount that a path lies on: its mount point, and its propagation (one may be both shared and a slave)."""

    point: str
    shared: bool
    slave: bool


def mount(source: str, target: str | Path, kind: str = "", flags: int = 0, data: str = "") -> None:
    """Mounts `source` at `target` by one system call. Raises `OSError` naming the target."""
    arguments = (source.encode(), os.fsencode(target), kind.encode() or None, ctypes.c_ulong(flags))
    if _libc.mount(*arguments, data.encode() or None) < 0:
        _fail(target)


def unmount(target: str | Path, flags: int = MNT_DETACH) -> None:
    """The umount2(2) call, by default lazily. Raises `OSError` naming the target; EINVAL: not a mount point."""
    if _libc.umount2(os.fsencode(target), flags | UMOUNT_NOFOLLOW) < 0:
        _fail(target)


def _fail(target: str | Path) -> None:
    number = ctypes.get_errno()
    raise OSError(number, os.strerror(number), str(target))


def volumes_dir(settings: Settings) -> Path:
    """Where volumes are, and are mounted: `<state_dir>/volumes`."""
    return settings.state_path / "volumes"


def prepare(settings: Settings) -> None:
    """Makes the folders below which this engine mounts for more than one process propagate mounts."""
    ensure_shared(settings.run_path)
    ensure_shared(volumes_dir(settings))


def ensure_shared(path: Path) -> None:
    """Makes `path` (created when missing) lie on a mount with shared propagation, for now and ever.

    Idempotent and safe against others doing the same at once. Nothing is done where the host's own mount is
    shared already, as under systemd. Raises `OSError` without CAP_SYS_ADMIN.
    """
    path.mkdir(parents=True, exist_ok=True, mode=0o710)
    with _locked(path):
        point, shared, _ = mount_of(path)
        if shared:
            return
        if point != os.path.realpath(path):
            mount(str(path), path, flags=MS_BIND)
        mount("", path, flags=MS_SHARED)


def drop_shared(path: Path) -> None:
    """Takes back what `ensure_shared` mounted at `path`, with all below it; nothing where it mounted nothing."""
    if path.exists() and mount_of(path)[0] == os.path.realpath(path):
        unmount(path)


def mount_of(path: str | Path) -> MountAt:
    """The mount that `path`, links followed, lies on, as the calling thread sees it. `OSError` where there is none."""
    descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        lines = Path(f"/proc/thread-self/fdinfo/{descriptor}").read_text().splitlines()
    finally:
        os.close(descriptor)
    wanted = next(line.split()[1] for line in lines if line.startswith("mnt_id:"))
    for line in Path("/proc/thread-self/mountinfo").read_text().splitlines():
        fields = line.split(" ")
        if fields[0] == wanted:
            kinds = {field.partition(":")[0] for field in fields[6 : fields.index("-")]}
            return MountAt(_unescape(fields[4]), "shared" in kinds, "master" in kinds)
    return MountAt("", False, False)


def _unescape(text: str) -> str:
    """Blanks and backslashes are octal in mountinfo, see proc_pid_mountinfo(5)."""
    for octal in ("040", "011", "012", "134"):
        text = text.replace(f"\\{octal}", chr(int(octal, 8)))
    return text


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """flock(2) on a folder: a bind mount of it on itself keeps the inode, so all see one lock."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
