"""Space of the disk that is kept for the engine to start with when all the rest is taken."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from shared.config import Settings

log = logging.getLogger(__name__)

BYTES = 16 << 20
"""As much as making containers leaves free (`services.executor.operations.create`): nothing new is made with it."""


LEAST = 1 << 20
"""As much as a broker needs at its start."""


def has_room(settings: Settings) -> bool:
    """Whether a broker can be started, with the reserve if need be."""
    settle(settings)
    return _free(settings) >= LEAST


def settle(settings: Settings) -> None:
    """Before the broker's start: gives the reserve up where the disk has less than that, else keeps one, if it can."""
    path = settings.state_path / "reserve"
    free = _free(settings)
    if free < BYTES and path.exists():
        path.unlink()
        log.warning("the disk of %s is full: the engine goes on with its reserve of %d bytes", path.parent, BYTES)
    elif free >= 2 * BYTES and not path.exists():
        _keep(path)


def _free(settings: Settings) -> int:
    disk = os.statvfs(settings.state_path)
    return disk.f_bavail * disk.f_frsize


def _keep(path: Path) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.posix_fallocate(descriptor, 0, BYTES)
    except OSError as error:  # a quota, for one: then there is none
        log.warning("no reserve is kept at %s: %s", path, error.strerror)
        path.unlink()
    finally:
        os.close(descriptor)
