"""Files into and out of a container: their status, archives of them, archives to be unpacked, the whole of it."""

from __future__ import annotations

import asyncio
import errno
import os
import stat
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial

from shared.archive import tar
from shared.archive.tree import CHUNK, Found, contents, only, walk
from shared.archive.writer import TarWriter
from shared.config import Settings
from shared.contracts.execs import PathStat
from shared.contracts.platform import FilesRequest, WriteRequest
from shared.errors import InvalidArgument, NotFound
from shared.paths import open_in_root
from shared.streams import Channel

from ..domain import copying
from . import rootfs
from .extraction import Extraction
from .outflow import Outflow
from .views import View, Views

THREADS = 64
"""Streams at once; each waits for its client in a thread of its own."""
_HELD = os.O_PATH | os.O_NOFOLLOW


class Reading:
    """Something of a container that is to be sent: `held` is a descriptor of it, `name` what it is called."""

    def __init__(self, view: View, held: int, status: PathStat, name: str) -> None:
        self._view, self._held, self.status, self._name = view, held, status, name

    def send(self, outflow: Outflow) -> None:
        """Writes the archive. Blocks."""
        _send(self._entries(), outflow)

    def _entries(self) -> Iterator[Found]:
        if not stat.S_ISDIR(os.fstat(self._held).st_mode):
            yield from only(self._held, self._name)
            return
        top = "" if self._name == "/" else self._name
        for found in walk(self._held, across_mounts=True):
            found.header.name = f"{top}/{found.header.name.lstrip('/')}"
            if found.header.kind == tar.HARD_LINK:
                found.header.link = f"{top}/{found.header.link}"
            yield found

    def close(self) -> None:
        """Idempotent."""
        if self._held >= 0:
            os.close(self._held)
            self._held = -1
        self._view.close()

    def __del__(self) -> None:
        self.close()


class Writing:
    """A directory of a container that an archive is to be unpacked into; `top` is a descriptor of it."""

    def __init__(
        self, view: View, request: WriteRequest, top: int, destination: str, owner: tuple[int, int] | None
    ) -> None:
        self.view, self.workload, self.keeps_kinds = view, request.id, request.no_overwrite_dir_non_dir
        self.top, self.destination, self.owner = top, destination, owner
        self.closed = asyncio.Event()

    def close(self) -> None:
        """Idempotent; in the event loop."""
        if self.top >= 0:
            os.close(self.top)
            self.top = -1
        self.view.close()
        self.closed.set()

    def __del__(self) -> None:
        self.close()


class Copies:
    """See the contract; each operation raises `NotFound` for a path that leads nowhere, `InvalidArgument` else."""

    def __init__(self, views: Views, settings: Settings) -> None:
        self._views = views
        self._limits = settings.max_unpack_bytes, settings.max_unpack_entries, settings.max_unpack_ratio
        self._threads = ThreadPoolExecutor(THREADS, "copy")
        self._writing: set[Writing] = set()
        self._extraction = Extraction()

    async def stat(self, request: FilesRequest) -> PathStat:
        def work(view: View) -> PathStat:
            with _told(request.path):
                held, status = _find(view, request.path)
                os.close(held)
            view.close()
            return status

        return await self._views.use(request, work)

    async def open(self, request: FilesRequest) -> Reading:
        def work(view: View) -> Reading:
            with _told(request.path):
                held, status = _find(view, request.path)
            return Reading(view, held, status, copying.base(copying.absolute(request.path)))

        return await self._views.use(request, work)

    async def open_whole(self, request: FilesRequest) -> View:
        """Its root alone."""
        return await self._views.use(request, lambda view: view)

    async def open_to_write(self, request: WriteRequest) -> Writing:
        """While it is open the workload is not started; see `settled`."""
        writing = await self._views.use(request, partial(_to_write, request))
        self._writing.add(writing)
        return writing

    async def settled(self, workload: str) -> None:
        """Returns when nothing is being written into a workload that does not run: its root may be mounted anew."""
        for writing in [each for each in self._writing if each.workload == workload]:
            await writing.closed.wait()

    async def send(self, reading: Reading, channel: Channel) -> None:
        """The archive, to its end."""
        await self._in_thread(Outflow(channel), reading.send, reading.close)

    async def send_whole(self, view: View, channel: Channel) -> None:
        """The root file system, without what is mounted in it."""
        await self._in_thread(Outflow(channel), partial(_send, _whole(view)), view.close)

    async def _in_thread(self, outflow: Outflow, work: Callable[[Outflow], None], close: Callable[[], None]) -> None:
        def run() -> None:
            try:
                work(outflow)
            except OSError as error:
                if isinstance(error, ConnectionError):
                    raise
                raise InvalidArgument(f"cannot read {error.filename}: {error.strerror}") from None
            finally:
                close()
                outflow.close()

        await asyncio.get_running_loop().run_in_executor(self._threads, run)

    async def receive(self, writing: Writing, channel: Channel) -> None:
        """Unpacks what comes; raises what is wrong with it."""
        try:
            await self._extraction.extract(channel, {
                "namespace": writing.view.namespace,
                "root": writing.view.root,
                "top": writing.top,
                "destination": writing.destination,
                "keeps_kinds": writing.keeps_kinds,
                "owner": writing.owner,
                "limits": self._limits,
            })  # fmt: skip
        finally:
            self.give_up(writing)

    def give_up(self, writing: Writing) -> None:
        """Nothing more will be written. Idempotent."""
        writing.close()
        self._writing.discard(writing)

    def close(self) -> None:
        self._extraction.close()
        self._threads.shutdown(wait=False, cancel_futures=True)


def _find(view: View, path: str) -> tuple[int, PathStat]:
    """What is at the path, a link itself unless the path insists on a directory; held, and its status."""
    wanted = copying.absolute(path)
    held = open_in_root(view.root, wanted, _HELD)
    status = os.fstat(held)
    return held, PathStat(
        name=copying.base(wanted),
        size=status.st_size,
        mode=status.st_mode,
        mtime=status.st_mtime_ns,
        link_target=rootfs.target(view.root, wanted) if stat.S_ISLNK(status.st_mode) else "",
    )


def _to_write(request: WriteRequest, view: View) -> Writing:
    with _told(request.path):
        wanted = copying.absolute(request.path)
        held = open_in_root(view.root, wanted, os.O_PATH)
        try:
            if not stat.S_ISDIR(os.fstat(held).st_mode):
                raise InvalidArgument("extraction point is not a directory")
            destination = rootfs.target(view.root, wanted)
            if problem := copying.refusal(destination, request.mounts, request.readonly_rootfs):
                raise InvalidArgument(problem)
            top = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=held)
        finally:
            os.close(held)
    owner = None
    if request.owner:
        ids = rootfs.lookup(view.root, request.owner, ())
        owner = ids.uid, ids.gid
    return Writing(view, request, top, destination, owner)


@contextmanager
def _told(path: str) -> Iterator[None]:
    """What a path comes to, in Docker's words."""
    try:
        yield
    except FileNotFoundError:
        raise NotFound(f"Could not find the file {path}") from None
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise InvalidArgument(f"evalSymlinksInScope: too many links in {path}") from None
        raise InvalidArgument(f"lstat {path}: {(error.strerror or str(error)).lower()}") from None


def _whole(view: View) -> Iterator[Found]:
    return (found for found in walk(view.root) if found.path)


def _send(entries: Iterator[Found], outflow: Outflow) -> None:
    writer, buffer = TarWriter(outflow.write), memoryview(bytearray(CHUNK))
    for found in entries:
        data = contents(found.descriptor, found.status, buffer) if found.header.kind == tar.REGULAR else ()
        writer.add(found.header, data)
    writer.end()
