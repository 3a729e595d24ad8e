"""Each engine service's identity at the broker: an nkey seed that only root can read."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

import nkeys


def public_key(folder: Path, name: str) -> str:
    """The public key (U...) of a service, whose seed is made in `<folder>/<name>.nk` (0600) when missing.

    The seed is on disk before this returns, and of several starters at once the first one's counts.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / f"{name}.nk"
    if not path.exists():
        _create(path)
    key: str = nkeys.from_seed(bytearray(path.read_bytes().strip())).public_key.decode()
    return key


def seed(folder: Path, name: str) -> str:
    """The private part of a key, which is made when missing."""
    public_key(folder, name)
    return (folder / f"{name}.nk").read_text().strip()


def _create(path: Path) -> None:
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # mode 0600
    try:
        os.write(descriptor, nkeys.encode_seed(os.urandom(32), nkeys.PREFIX_BYTE_USER) + b"\n")
        os.fsync(descriptor)
        with contextlib.suppress(FileExistsError):
            os.link(temporary, path)
    finally:
        os.close(descriptor)
        os.unlink(temporary)
    _sync(path.parent)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
