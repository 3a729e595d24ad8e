"""A container's file system as copies see it: its root, and on it the volumes, binds and files it is given.

What the container's runtime or it itself has mounted (/proc, tmpfs) is not in it, as in Docker. A view is a mount
namespace of its own in which nobody lives: two descriptors, which any thread may use, and with which it goes.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

import msgspec

from shared import hostmounts
from shared.contracts.common import Mount
from shared.contracts.container import MountPoint
from shared.contracts.platform import FilesRequest
from shared.errors import InvalidArgument
from shared.paths import open_in_root

from . import image_mounts, rootfs, syscalls
from .launcher import Launcher
from .workloads import Workloads

T = TypeVar("T")
_PLACE = os.O_PATH | os.O_CLOEXEC


class View:
    """Descriptors of the root and of the namespace that it is mounted in, good until `close`."""

    def __init__(self, root: int, namespace: int) -> None:
        self.root, self.namespace = root, namespace
        self._kept = [root, namespace]

    def close(self) -> None:
        """Idempotent."""
        kept, self._kept = self._kept, []
        for descriptor in kept:
            os.close(descriptor)

    def __del__(self) -> None:
        """Whoever asked for it may have gone while it was opened: a thread cannot be broken off."""
        self.close()


class Views:
    """Opens views: of a workload that runs beside its monitor, of one that does not from its snapshot."""

    def __init__(self, workloads: Workloads, launcher: Launcher, roots: Path) -> None:
        self._workloads, self._launcher, self._roots = workloads, launcher, roots
        self._place, self._image = roots / ".view", roots / ".image"
        for place in (self._place, self._image):
            place.mkdir(mode=0o700, exist_ok=True)

    async def use(self, request: FilesRequest, work: Callable[[View], T]) -> T:
        """Runs `work` with a view, in a thread. `work` keeps the view, or closes it; it is closed when that fails."""
        found = self._workloads.find(request.id)
        if found is None or found.ended.done():
            return await self._launcher.fresh(partial(self._of_snapshot, request, work))
        if found.monitored:
            try:
                return await self._launcher.beside(found.record.monitor, partial(self._beside, request, work))
            except ProcessLookupError:  # it has ended this moment, and its mounts with it
                return await self._launcher.fresh(partial(self._of_snapshot, request, work))
        return await self._launcher.plain(partial(_inside, found.record.pid, work))

    def _of_snapshot(self, request: FilesRequest, work: Callable[[View], T]) -> T:
        hostmounts.mount("", "/", flags=hostmounts.MS_PRIVATE | hostmounts.MS_REC)
        rootfs.mount_root(request.rootfs, self._place)
        return self._with(self._place, request, work)

    def _beside(self, request: FilesRequest, work: Callable[[View], T]) -> T:
        syscalls.unshare(syscalls.CLONE_NEWNS)
        hostmounts.mount("", "/", flags=hostmounts.MS_PRIVATE | hostmounts.MS_REC)
        return self._with(self._roots / request.id, request, work)

    def _with(self, place: Path, request: FilesRequest, work: Callable[[View], T]) -> T:
        with _closed_on_failure(View(rootfs.open_root(place), _namespace())) as view:
            for point in sorted(_points(request), key=lambda point: point.destination.rstrip("/").count("/")):
                if point.type == "image":
                    self._bind_image(view.root, point, request.images[point.destination])
                else:
                    _bind(view.root, point)
            if request.readonly_rootfs:
                hostmounts.mount("", place, "", hostmounts.MS_REMOUNT | hostmounts.MS_BIND | hostmounts.MS_RDONLY)
            return work(view)

    def _bind_image(self, root: int, point: MountPoint, mounts: tuple[Mount, ...]) -> None:
        """By one place for all, one over the other, in this namespace alone."""
        part = image_mounts.open_part(point, mounts, self._image)
        try:
            _bind(root, msgspec.structs.replace(point, source=f"/proc/self/fd/{part}"))
        finally:
            os.close(part)


def _inside(pid: int, work: Callable[[View], T]) -> T:
    """What a container without monitor sees itself, with all that is mounted there."""
    with _closed_on_failure(View(rootfs.open_root(Path(f"/proc/{pid}/root")), _namespace(f"/proc/{pid}"))) as view:
        return work(view)


def _namespace(process: str = "/proc/thread-self") -> int:
    return os.open(f"{process}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)


@contextmanager
def _closed_on_failure(view: View) -> Iterator[View]:
    try:
        yield view
    except BaseException:
        view.close()
        raise


def _points(request: FilesRequest) -> Iterator[MountPoint]:
    taken = {point.destination for point in request.mounts}
    for place, source in request.files.items():
        if place not in taken and os.path.exists(source):  # they are gone where the network has let go of them
            yield MountPoint(type="bind", source=source, destination=place, rw=not request.readonly_rootfs)
    yield from (point for point in request.mounts if point.type in ("bind", "volume", "image"))


def _bind(root: int, point: MountPoint) -> None:
    """Mounts where the path leads inside the root, whatever the container does to it meanwhile."""
    options = point.spec.bind_options if point.spec else None
    flags = hostmounts.MS_BIND | (0 if options and options.non_recursive else hostmounts.MS_REC)
    try:
        place = _place(root, point.destination, stat.S_ISDIR(os.stat(point.source).st_mode))
        try:
            target = f"/proc/self/fd/{place}"
            hostmounts.mount(point.source, target, "", flags)
        finally:
            os.close(place)
        if not point.rw:
            _make_read_only(root, point.destination)
    except OSError as error:
        raise InvalidArgument(f"mounting {point.source} at {point.destination}: {error.strerror}") from None


def _make_read_only(root: int, destination: str) -> None:
    mounted = open_in_root(root, destination, _PLACE)
    try:
        flags = hostmounts.MS_REMOUNT | hostmounts.MS_BIND | hostmounts.MS_RDONLY
        hostmounts.mount("", f"/proc/self/fd/{mounted}", "", flags)
    finally:
        os.close(mounted)


def _place(root: int, path: str, is_directory: bool) -> int:
    """A descriptor of what is there to mount on, made where it is missing."""
    rootfs.make_place(root, path, is_directory)
    return open_in_root(root, path, _PLACE)
