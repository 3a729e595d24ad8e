"""Mounts: making a snapshot's, finding what a test left."""

from __future__ import annotations

from pathlib import Path

from shared import hostmounts
from shared.contracts.image_store import Snapshot, View
from shared.hostmounts import unmount

_FLAGS = {
    "rbind": hostmounts.MS_BIND | hostmounts.MS_REC,
    "bind": hostmounts.MS_BIND,
    "ro": hostmounts.MS_RDONLY,
}


def mounts_below(directory: Path) -> list[str]:
    """Mount points in a folder, the deepest first."""
    points = [line.split(" ")[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    return sorted((point for point in points if Path(point).is_relative_to(directory)), reverse=True)


def unmount_below(directory: Path) -> None:
    for point in mounts_below(directory):
        unmount(point)


def mount(snapshot: Snapshot | View, target: Path) -> None:
    """As any user of the image store's contract would: each mount in order, at one place."""
    for each in snapshot.mounts:
        flags = sum(_FLAGS.get(option, 0) for option in each.options)
        data = ",".join(option for option in each.options if option not in (*_FLAGS, "rw"))
        hostmounts.mount(each.source, target, each.type, flags, data)
        if flags & hostmounts.MS_BIND and flags & hostmounts.MS_RDONLY:
            hostmounts.mount("", target, "", flags | hostmounts.MS_REMOUNT)
