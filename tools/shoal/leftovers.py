"""What an engine that has ended leaves mounted for its containers, and taking it back once there are none."""

from __future__ import annotations

import os
from pathlib import Path

from shared import hostmounts
from shared.config import Settings

MONITOR = b"conmon\n"


def take_back(settings: Settings) -> list[Path]:
    """Unmounts the engine's shared folders, unless containers go on; returns what was unmounted, mount by mount."""
    if containers_go_on(settings):
        return []
    folders = (settings.run_path / "platform" / "roots", settings.run_path, hostmounts.volumes_dir(settings))
    taken = []
    for folder in folders:
        while is_mount(folder):  # a mount may lie on another one
            hostmounts.drop_shared(folder)
            taken.append(folder)
    return taken


def containers_go_on(settings: Settings) -> bool:
    """Whether a container's monitor runs that was started with a path of this engine's run folder."""
    needle = os.fsencode(f"{settings.run_path}/")
    processes = (entry for entry in Path("/proc").iterdir() if entry.name.isdigit())
    return any(_read(entry / "comm") == MONITOR and needle in _read(entry / "cmdline") for entry in processes)


def is_mount(folder: Path) -> bool:
    """Whether something is mounted at the folder itself."""
    return folder.exists() and hostmounts.mount_of(folder)[0] == os.path.realpath(folder)


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError:  # ended, or not ours to read
        return b""
