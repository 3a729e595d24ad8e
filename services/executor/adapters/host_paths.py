"""Host paths by plain system calls."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from shared.errors import InvalidArgument
from shared.telemetry import span


class LocalHostPaths:
    """`marker` lies where a reboot clears it; it names the process that started this engine. `state`: its state."""

    def __init__(self, marker: Path, state: Path) -> None:
        self._marker, self._state = marker, state

    def exists(self, path: str) -> bool:
        try:
            return os.path.exists(path)
        except ValueError:  # a NUL byte
            return False

    def make_directory(self, path: str) -> None:
        if os.path.exists(path):
            return
        with span("mkdir", path=path):
            try:
                os.makedirs(path, mode=0o755, exist_ok=True)
            except OSError as error:
                reason = (error.strerror or str(error)).lower()
                text = f"error while creating mount source path '{path}': mkdir {path}: {reason}"
                raise InvalidArgument(text) from None

    def folders(self, path: str) -> list[str] | None:
        try:
            with os.scandir(path) as entries:
                return sorted(entry.name for entry in entries if entry.is_dir() and not entry.name.startswith("."))
        except (OSError, ValueError):
            return None

    def remove_tree(self, path: str) -> None:
        if os.path.isdir(path):
            shutil.rmtree(path, ignore_errors=True)

    def free_bytes(self) -> int:
        disk = os.statvfs(next(folder for folder in (self._state, *self._state.parents) if folder.exists()))
        return disk.f_bavail * disk.f_frsize

    def engine_started(self) -> bool:
        """A service that crashed comes back under the same parent: then the engine did not start anew."""
        present = str(os.getppid())
        try:
            seen = self._marker.read_text()
        except FileNotFoundError:
            seen = ""
        if seen == present:
            return False
        self._marker.parent.mkdir(parents=True, exist_ok=True, mode=0o710)
        self._marker.write_text(present)
        return True
