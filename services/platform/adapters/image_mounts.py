"""Images that are mounted in a workload: each, or a part of it, at a place of the host from which it is bound."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterable
from pathlib import Path

import msgspec

from shared import hostmounts
from shared.contracts.common import Mount
from shared.contracts.container import MountPoint
from shared.contracts.platform import CreateRequest
from shared.errors import InvalidArgument

from . import rootfs, syscalls


def mounted(request: CreateRequest, folder: Path) -> CreateRequest:
    """The request with the place of each image as the source of its mount; `folder` is made for the places.

    Mounted in the caller's mount namespace. `InvalidArgument` for a part that an image does not have.
    """
    points = []
    for number, point in enumerate(request.mounts):
        if point.type == "image":
            place = folder / str(number)
            place.mkdir(parents=True, mode=0o700)
            part = open_part(point, request.images[point.destination], place)
            try:
                point = msgspec.structs.replace(point, source=str(_at_hand(part, place)))
            finally:
                os.close(part)
        points.append(point)
    return msgspec.structs.replace(request, mounts=tuple(points))


def open_part(point: MountPoint, mounts: Iterable[Mount], place: Path) -> int:
    """A descriptor of what is to be mounted, of an image that is mounted at a place for that.

    No link in the image leads out of it.
    """
    rootfs.mount_root(mounts, place)
    root = rootfs.open_root(place)
    options = point.spec.image_options if point.spec else None
    if options is None or not options.subpath:
        return root
    try:
        return syscalls.open_in_root(root, options.subpath, os.O_PATH | os.O_CLOEXEC)
    except OSError as error:
        raise InvalidArgument(f"cannot access path {options.subpath} in image {point.name}: {error.strerror}") from None
    finally:
        os.close(root)


def _at_hand(part: int, place: Path) -> Path:
    """A path that is this and nothing else, for who takes no descriptors."""
    target = place.with_name(f"{place.name}.part")
    if stat.S_ISDIR(os.fstat(part).st_mode):
        target.mkdir(mode=0o700)
    else:
        target.touch(mode=0o600)
    hostmounts.mount(f"/proc/self/fd/{part}", target, "", hostmounts.MS_BIND)
    return target


def unmount(folder: Path) -> None:
    """Takes back `mounted` in the caller's mount namespace; nothing where nothing was mounted."""
    with contextlib.suppress(FileNotFoundError):
        for place in sorted(folder.iterdir(), reverse=True):  # a part before its image
            rootfs.unmount_root(place)


def remove(folder: Path) -> None:
    """Removes the places, in a mount namespace where nothing is mounted there."""
    with contextlib.suppress(FileNotFoundError):
        for place in folder.iterdir():
            (place.rmdir if place.is_dir() else place.unlink)()
        folder.rmdir()
