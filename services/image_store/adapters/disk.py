"""Durable writes: temporary name, synced, renamed, directory synced."""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shared.errors import ResourceExhausted

FULL = (errno.ENOSPC, errno.EDQUOT)
_libc = ctypes.CDLL(None, use_errno=True)


@contextmanager
def full_disk_told() -> Iterator[None]:
    """A disk without space becomes `ResourceExhausted`, whoever notices it."""
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise ResourceExhausted(f"cannot write: {error.strerror}") from None


def sync(path: Path) -> None:
    """Makes a file's bytes, or a directory's names, durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_filesystem(path: Path) -> None:
    """Makes all that was written to the file system of `path` durable (syncfs(2))."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if _libc.syncfs(descriptor) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(path))
    finally:
        os.close(descriptor)


def write_file(path: Path, data: bytes, temporary: Path) -> None:
    """Replaces a file at once by way of `temporary`, which is on the same file system; its directory is not synced.

    A write that fails leaves nothing.
    """
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(descriptor, rest) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.rename(temporary, path)
    except OSError:  # a full disk, for one, which it would keep full
        temporary.unlink(missing_ok=True)
        raise
