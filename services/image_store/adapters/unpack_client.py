"""Starting the confined helper and talking to it."""

from __future__ import annotations

import asyncio
import os
import secrets
import stat
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec

from shared import telemetry
from shared.archive.remove_tree import remove_tree
from shared.config import Settings
from shared.errors import DataLoss, Internal, InvalidArgument, ShoalError, from_kind

from ..ports import Budget, Entry, Progress, Unpacked
from .layout import StoreLayout

_BOOT = "import sys; sys.path[:0] = sys.argv[1:]; from services.image_store.adapters.unpack_helper import main; main()"
_LONGEST_LINE = 64 << 20
_FRAME = 1 << 20


def _paths() -> list[str]:
    """Where the helper finds this program and its two libraries; it runs without `site`."""
    room = Path(__file__).resolve().parents[3]
    libraries = {str(Path(spec.origin).parents[1]) for name in ("isal", "zstandard")
                 if (spec := find_spec(name)) is not None and spec.origin}  # fmt: skip
    return [str(room), *sorted(libraries)]


class LocalUnpacker:
    """Helpers on this host, one for each archive, each in a folder of its own under `ingest`."""

    def __init__(self, layout: StoreLayout, settings: Settings) -> None:
        self._layout = layout
        self._limits = settings.max_unpack_bytes, settings.max_unpack_entries, settings.max_unpack_ratio

    @asynccontextmanager
    async def session(self, budget: Budget | None = None) -> AsyncIterator[HelperSession]:
        """A helper ready for commands. Afterwards it is gone, and so is all it wrote that was not moved away."""
        folder = self._layout.ingest / secrets.token_hex(8)
        folder.mkdir(mode=0o700)
        try:
            process = await self._start(folder)
            try:
                yield HelperSession(process, folder, self._limits, budget or Budget())
            finally:
                await asyncio.shield(_end(process))
        finally:
            await asyncio.to_thread(remove_tree, str(folder))

    @staticmethod
    async def _start(folder: Path) -> Process:
        with telemetry.span("unpack helper"):
            return await asyncio.create_subprocess_exec(
                sys.executable, "-I", "-S", "-c", _BOOT, *_paths(),
                stdin=PIPE, stdout=PIPE, cwd=folder, env={}, limit=_LONGEST_LINE,
            )  # fmt: skip


async def _end(process: Process) -> None:
    """Returns when the helper is gone, whatever it was doing."""
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.kill()
    await process.wait()
    assert process.stdin is not None
    process.stdin.close()
    with suppress(ConnectionError):
        await process.stdin.wait_closed()


class HelperSession:
    """Commands go one after the other. After an error only the end of the session is left.

    All layers of an archive together may take as many bytes as one.
    """

    def __init__(self, process: Process, folder: Path, limits: tuple[int, int, int], budget: Budget) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._in, self._out, self._folder, self._limits = process.stdin, process.stdout, folder, limits
        self._budget, self._trees = budget, 0

    def path(self, file: str) -> Path:
        return self._folder / file

    def link(self, blob: Path) -> str:
        """Puts a blob of the store where the helper can read it."""
        name = f"blob-{blob.name}"
        with suppress(FileExistsError):  # one layer may occur twice
            os.link(blob, self.path(name), follow_symlinks=False)
        return name

    def read(self, entry: Entry, most: int) -> bytes:
        """A file the helper kept; `InvalidArgument` when it is larger than `most`."""
        descriptor = os.open(self.path(entry.file), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise DataLoss(f"{entry.file} is no regular file")
            data = file.read(most + 1)
        if len(data) > most:
            raise InvalidArgument(f"invalid archive: {entry.name[:200]!r} is larger than {most} bytes")
        return data

    def head(self, entry: Entry, size: int) -> bytes:
        """The first bytes of a file the helper kept."""
        descriptor = os.open(self.path(entry.file), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            return os.read(descriptor, size)
        finally:
            os.close(descriptor)

    async def spool(self, archive: AsyncIterator[bytes]) -> tuple[Entry, ...]:
        entries: list[Entry] = []
        with telemetry.span("spool archive"):
            await self._fed({"do": "spool"}, archive, entries)
        return tuple(entries)

    async def inflate(self, archive: AsyncIterator[bytes]) -> Entry:
        with telemetry.span("spool archive"):
            done = await self._fed({"do": "inflate"}, archive, [])
        return Entry(name="", **done)

    async def unpack(
        self,
        file: str,
        hashed: bool,
        whole: bool = False,
        progress: Progress | None = None,
        growth: AsyncIterator[int] | None = None,
    ) -> tuple[Path, Unpacked]:
        tree = f"tree{self._trees}"
        self._trees += 1
        self.path(tree).mkdir(mode=0o700)
        (self.path(tree) / "diff").mkdir(mode=0o755)
        with telemetry.span("unpack layer"):
            command = {"do": "unpack", "file": file, "tree": f"{tree}/diff", "hashed": hashed, "whole": whole}
            if growth is None:
                await self._command(command)
                told = msgspec.convert(await self._answer([], progress), Unpacked)
            else:
                done = await self._beside(command | {"growing": True}, self._grow(growth), [], progress)
                told = msgspec.convert(done, Unpacked)
        self._budget.spent += told.bytes
        if self._budget.spent > self._limits[0]:  # several at once may each have had room
            raise InvalidArgument(f"the archive unpacks to more than {self._limits[0]} bytes (max_unpack_bytes)")
        return self.path(tree), told

    async def _grow(self, growth: AsyncIterator[int]) -> None:
        """Says how much of a file there is, and at last that this is all."""
        async for size in growth:
            if size and not await self._write(size.to_bytes(8, "big")):
                return
        await self._write(bytes(8))

    async def _command(self, command: dict[str, Any]) -> None:
        most_bytes, *others = self._limits
        await self._frame(msgspec.json.encode(command | {"limits": [most_bytes - self._budget.spent, *others]}))

    async def _frame(self, data: bytes) -> bool:
        return await self._write(len(data).to_bytes(4, "big"), data)

    async def _write(self, *pieces: bytes) -> bool:
        """False when the helper takes no more; its answer, or the lack of one, says why."""
        try:
            self._in.writelines(pieces)
            await self._in.drain()
        except (ConnectionError, RuntimeError):  # uvloop: an operation on a closed handle
            return False
        return True

    async def _fed(
        self, command: dict[str, Any], archive: AsyncIterator[bytes], entries: list[Entry]
    ) -> dict[str, Any]:
        """Runs a command that is followed by the archive."""
        return await self._beside(command, self._send(archive), entries, None)

    async def _beside(
        self,
        command: dict[str, Any],
        sending: Coroutine[Any, Any, None],
        entries: list[Entry],
        progress: Progress | None,
    ) -> dict[str, Any]:
        """Runs a command that is followed by what `sending` sends. The error of either ends both."""
        await self._command(command)
        try:
            async with asyncio.TaskGroup() as both:
                answer = both.create_task(self._answer(entries, progress))
                both.create_task(sending)
        except BaseExceptionGroup as failed:
            raise failed.exceptions[0] from None
        return answer.result()

    async def _send(self, archive: AsyncIterator[bytes]) -> None:
        async for data in archive:
            for start in range(0, len(data), _FRAME):
                if not await self._frame(data[start : start + _FRAME]):
                    return
        await self._frame(b"")

    async def _answer(self, entries: list[Entry], progress: Progress | None) -> dict[str, Any]:
        while line := await self._line():
            said: dict[str, Any] = msgspec.json.decode(line)
            if "done" in said:
                done: dict[str, Any] = said["done"]
                return done
            if "error" in said:
                raise _error(said)
            if "entry" in said:
                entries.append(msgspec.convert(said["entry"], Entry))
            elif progress is not None:
                await progress(said["progress"])
        raise Internal("the unpacking helper ended too early")

    async def _line(self) -> bytes:
        try:
            return await self._out.readline()
        except ValueError:
            raise InvalidArgument("invalid archive: too much to say about it") from None


def _error(said: dict[str, Any]) -> ShoalError:
    return from_kind(str(said.get("kind")), str(said["error"]))
