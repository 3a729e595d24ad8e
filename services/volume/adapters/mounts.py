"""Mounting what a volume's options name, and parts of volumes."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
from pathlib import Path

from shared import hostmounts, telemetry
from shared.errors import InvalidArgument
from shared.paths import open_in_root

from ..domain import mounting
from ..domain.mounting import MountCall


def mount(call: MountCall, target: Path) -> None:
    """Mounts a volume's device over its folder. Raises `InvalidArgument` in dockerd's words; nothing stays mounted."""
    with telemetry.span("mount", kind=call.kind, target=str(target)):
        try:
            call = _resolved(call)
            hostmounts.mount(call.device, target, call.kind, call.flags, call.data)
        except OSError as error:
            raise _refusal(call, target, error) from None
        try:
            for flags in call.then:
                hostmounts.mount("none", target, flags=flags)
        except OSError as error:
            hostmounts.unmount(target)
            raise _refusal(call, target, error) from None


def _resolved(call: MountCall) -> MountCall:
    name = mounting.server_to_resolve(call)
    if not name:
        return call
    address = socket.getaddrinfo(name, None, proto=socket.IPPROTO_TCP)[0][4][0]
    return mounting.with_address(call, name, str(address))


def _refusal(call: MountCall, target: Path, error: OSError) -> InvalidArgument:
    reason = (error.strerror or str(error)).lower()
    return InvalidArgument(
        f"error while mounting volume '{target}': failed to mount local volume: {call.describe(str(target))}: {reason}"
    )


def unmount(target: Path) -> None:
    """Takes all mounts at the target away; none there is fine. Files that are open stay usable to who has them."""
    with telemetry.span("unmount", target=str(target)), contextlib.suppress(OSError):
        while True:
            hostmounts.unmount(target)


def is_mounted(target: Path) -> bool:
    """Whether something is mounted at the folder itself."""
    return target.exists() and hostmounts.mount_of(target)[0] == os.path.realpath(target)


def bind_part(volume: Path, subpath: str, target: Path) -> None:
    """Makes a part of a volume appear at `target`: found and mounted by descriptor, so that nobody can swap it.

    Raises `InvalidArgument` when the part is not there.
    """
    root = os.open(volume, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        part = open_in_root(root, subpath)
    except OSError as error:
        reason = (error.strerror or "").lower()
        raise InvalidArgument(f"cannot access path {volume / subpath}: {reason}") from None
    finally:
        os.close(root)
    try:
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o710)
        if stat.S_ISDIR(os.fstat(part).st_mode):
            target.mkdir(exist_ok=True)
        else:
            target.touch()
        if not _same(part, target):
            hostmounts.mount(f"/proc/self/fd/{part}", target, flags=hostmounts.MS_BIND | hostmounts.MS_REC)
    finally:
        os.close(part)


def _same(part: int, target: Path) -> bool:
    """Whether the part is mounted there already."""
    return os.path.samestat(os.fstat(part), target.stat())


def remove_part(target: Path) -> None:
    """Takes a part's mount and its mount point away; none there is fine."""
    unmount(target)
    if target.is_dir():
        target.rmdir()
    else:
        target.unlink(missing_ok=True)
