"""Who uses which volume, kept as empty files below run_dir: found again after a crash, gone with the host."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Users:
    """`<folder>/<boot id>/<volume>/<user>`: what another boot left counts for nothing."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._boot = folder / BOOT_ID.read_text().strip()
        self._of: dict[str, set[str]] = {}

    def open(self) -> None:
        """Reads what the last process left."""
        self._boot.mkdir(parents=True, exist_ok=True, mode=0o710)
        for other in self._folder.iterdir():
            if other != self._boot:
                shutil.rmtree(other, ignore_errors=True)
        self._of = {volume.name: {user.name for user in volume.iterdir()} for volume in self._boot.iterdir()}

    def of(self, name: str) -> frozenset[str]:
        """Users of a volume."""
        return frozenset(self._of.get(name, ()))

    def volumes(self, user: str) -> list[str]:
        """Volumes of a user."""
        return [name for name, users in self._of.items() if user in users]

    def in_use(self) -> set[str]:
        """Volumes that anybody uses."""
        return {name for name, users in self._of.items() if users}

    def add(self, name: str, user: str) -> None:
        (self._boot / name).mkdir(exist_ok=True)
        (self._boot / name / user).touch()
        self._of.setdefault(name, set()).add(user)

    def remove(self, name: str, user: str) -> None:
        (self._boot / name / user).unlink(missing_ok=True)
        users = self._of.get(name, set())
        users.discard(user)
        if not users:
            self._of.pop(name, None)
            with contextlib.suppress(FileNotFoundError):
                (self._boot / name).rmdir()
