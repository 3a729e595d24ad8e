"""Checks of the state folder: space, and whether overlay mounts work on its file system."""

from __future__ import annotations

import ctypes
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from shared import hostmounts
from shared.config import Settings

from .findings import Finding, ok, warning, wrong

LITTLE_BYTES = 2 << 30
TOO_LITTLE_BYTES = 64 << 20
FEW_INODES = 10_000
CLONE_NEWNS = 0x20000


def check(settings: Settings) -> Iterator[Finding]:
    """The disk below the state folder."""
    place = existing(settings.state_path)
    disk = os.statvfs(place)
    yield judge_space(str(place), disk.f_bavail * disk.f_frsize)
    yield judge_inodes(str(place), disk.f_favail if disk.f_files else FEW_INODES)
    yield judge_overlay(str(place), overlay_problem(place))


def existing(path: Path) -> Path:
    """The path itself, or the nearest folder above it that exists."""
    return next(folder for folder in (path, *path.parents) if folder.exists())


def judge_space(place: str, free: int) -> Finding:
    """Bytes that are left."""
    text = f"{free / 1e9:.1f} GB free at {place}"
    remedy = "make room: docker system df shows what images, containers and volumes take"
    if free < TOO_LITTLE_BYTES:
        return wrong("disk space", text, remedy)
    return warning("disk space", text, remedy) if free < LITTLE_BYTES else ok("disk space", text)


def judge_inodes(place: str, free: int) -> Finding:
    """Files that can still be made."""
    if free < FEW_INODES:
        return warning("inodes", f"{free} left at {place}", "remove images and containers that are not needed")
    return ok("inodes", f"{free} left at {place}")


def judge_overlay(place: str, problem: str) -> Finding:
    """Whether image layers can be stacked there."""
    if not problem:
        return ok("overlay mounts", f"work at {place}")
    remedy = "set state_dir to a folder on ext4, xfs or btrfs (an overlay cannot lie on another overlay)"
    return wrong("overlay mounts", f"do not work at {place}: {problem}", remedy)


def overlay_problem(place: Path) -> str:
    """Mounts an overlay in a private mount namespace of a child; why that failed, empty when it did not."""
    try:
        with tempfile.TemporaryDirectory(prefix=".shoal-doctor-", dir=place) as folder:
            for name in ("lower", "upper", "work", "merged"):
                os.mkdir(os.path.join(folder, name))
            return _in_child(folder)
    except OSError as error:
        return error.strerror or str(error)


def _in_child(folder: str) -> str:
    reading, writing = os.pipe()
    if not (pid := os.fork()):
        try:
            os.write(writing, _try_overlay(folder).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read().decode()
    os.waitpid(pid, 0)
    return said


def _try_overlay(folder: str) -> str:
    try:
        if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNS) < 0:
            return os.strerror(ctypes.get_errno())
        hostmounts.mount("", "/", flags=hostmounts.MS_REC | hostmounts.MS_PRIVATE)
        parts = f"lowerdir={folder}/lower,upperdir={folder}/upper,workdir={folder}/work"
        hostmounts.mount("overlay", f"{folder}/merged", "overlay", data=parts)
    except OSError as error:
        return error.strerror or str(error)
    return ""
