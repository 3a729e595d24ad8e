"""Mounts that a test left."""

from __future__ import annotations

from pathlib import Path

from shared.hostmounts import unmount


def mounts_below(directory: Path) -> list[str]:
    """Mount points in a folder, the deepest first."""
    points = [line.split(" ")[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    return sorted((point for point in points if Path(point).is_relative_to(directory)), reverse=True)


def unmount_below(directory: Path) -> None:
    for point in mounts_below(directory):
        unmount(point)
