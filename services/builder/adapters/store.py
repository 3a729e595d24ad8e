"""The image store, as a build uses it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from typing import Any

import msgspec

from shared.archive import writer
from shared.contracts import image_store, scheduler
from shared.contracts.common import Platform, Ref, StreamOffer
from shared.contracts.image_store import Credentials, Image
from shared.errors import InvalidArgument, NotFound, Unavailable
from shared.service import Kernel
from shared.streams import Channel

from ..domain.copying import Place, entries
from ..domain.tree import Tree, directory
from .spool import CHUNK, Spools

Told = Callable[[bytes], Awaitable[None]]
LONGEST_LINE = 1 << 20


class _Ahead:
    """Images that the store has told of ahead: with one step's image those that the last build made of it.

    A step that finds its image here costs no call, but the build's lease does not hold that image: it is loose, and
    may go, until the store is asked for it, or for what follows it.
    """

    def __init__(self) -> None:
        self._by_parent: dict[str, Image] = {}
        self._loose: set[str] = set()

    def told(self, images: Iterable[Image]) -> None:
        self._by_parent.update((image.parent, image) for image in images)

    def take(self, parent: str, created_by: str) -> Image | None:
        """The image that a step makes of its parent, loose from now on; None where it is not here."""
        found = self._by_parent.get(parent)
        if found is None or not found.history or found.history[-1].created_by != created_by:
            return None
        self._loose.add(found.id)
        return found

    def is_loose(self, image_id: str) -> bool:
        return image_id in self._loose

    def held(self, image_id: str) -> None:
        """It is under the lease."""
        self._loose.discard(image_id)


class Store:
    """Calls of one build. Whatever image it is told of stays until `end`, under the lease of the build's id."""

    def __init__(self, kernel: Kernel, build: str) -> None:
        self._kernel, self._bus, self._lease = kernel, kernel.bus, lease(build)
        self._ahead = _Ahead()

    async def end(self) -> None:
        """The build needs no image any more."""
        await self._bus.call(image_store.END_LEASE, Ref(id=self._lease))

    async def resolve(self, reference: str, platform: Platform | None = None) -> Image:
        request = image_store.ResolveRequest(reference=reference, platform=platform, lease=self._lease)
        return await self._bus.call(image_store.RESOLVE, request)

    async def bring(self, reference: str, platform: Platform) -> Image:
        """An image that another host of the cluster has, as this one has it then; `NotFound` when none has it whole."""
        brought = await self._bus.call(scheduler.BRING, scheduler.BringRequest(reference=reference, platform=platform))
        return await self.resolve(brought.image_id)

    async def pull(self, reference: str, platform: Platform | None, auth: Credentials, told: Told) -> None:
        """Fetches an image; its progress lines are `told`. Raises what the store says."""
        request = image_store.PullRequest(reference=reference, platform=platform, auth=auth)
        async for line in self._lines(await self._bus.call(image_store.PULL, request)):
            _check(line)
            await told(line)

    async def child(
        self, parent: str, created_by: str, cache_from: Sequence[str], platform: Platform | None = None
    ) -> image_store.ChildReply:
        """What the store told with an earlier step is not asked for: `hold` it before it is given to others.

        Raises `NotFound` for a parent that is gone.
        """
        known = None if cache_from else self._ahead.take(parent, created_by)
        if known is not None:
            return image_store.ChildReply(image=known)
        request = image_store.ChildRequest(
            parent=parent, created_by=created_by, cache_from=tuple(cache_from), platform=platform, lease=self._lease
        )
        reply = await self._bus.call(image_store.CHILD, request)
        self._ahead.held(parent)
        self._ahead.told(reply.next)
        return reply

    async def hold(self, image_id: str) -> None:
        """The image stays until `end`; raises `NotFound` for one that is gone."""
        if self._ahead.is_loose(image_id):
            await self.resolve(image_id)
            self._ahead.held(image_id)

    async def tag(self, image_id: str, repository: str, tag: str) -> None:
        request = image_store.TagRequest(source=image_id, repository=repository, tag=tag)
        await self._bus.call(image_store.TAG, request)

    async def names(self, names: Sequence[str]) -> tuple[tuple[str, str], ...]:
        """Repository and tag of each; raises `InvalidArgument`."""
        return (await self._bus.call(image_store.NAMES, image_store.NamesRequest(names=tuple(names)))).names

    async def place(self, image_id: str, path: str) -> Place:
        """What the image has there."""
        return (await self.places(image_id, (path,)))[0]

    async def places(self, image_id: str, paths: Sequence[str]) -> list[Place]:
        reply = await self._bus.call(image_store.LOOK, image_store.LookRequest(image=image_id, paths=tuple(paths)))
        return [_place(found) for found in reply.found]

    async def matches(self, image_id: str, pattern: str) -> tuple[str, ...]:
        reply = await self._bus.call(image_store.LOOK, image_store.LookRequest(image=image_id, patterns=(pattern,)))
        return reply.matches[0]

    async def read(self, image_id: str, *paths: str) -> tuple[bytes, ...]:
        return (await self._bus.call(image_store.LOOK, image_store.LookRequest(image=image_id, read=paths))).read

    async def contents(self, image_id: str, path: str, spools: Spools) -> int:
        """The files at a path of an image, as an archive in a spool; its number."""
        request = image_store.ContentsRequest(image=image_id, path=path)
        channel = await self._kernel.streams.take(await self._bus.call(image_store.CONTENTS, request))
        number = spools.new()
        try:
            data = await _read(channel)
            if data.startswith(b'{"error'):
                _check(data)
            while data:
                spools.append(number, data)
                data = await _read(channel)
        finally:
            channel.close()
        return number

    async def describe(self, source: image_store.CommitRequest) -> Image:
        """An image without a new layer, or of a container's snapshot."""
        leased = msgspec.structs.replace(source, lease=self._lease)
        return (await self._bus.call(image_store.COMMIT, leased)).image

    async def add_layer(self, source: image_store.ApplyRequest, made: Tree, spools: Spools) -> Image:
        """An image with the tree as its new layer."""
        leased = msgspec.structs.replace(source, lease=self._lease)
        channel = await self._kernel.streams.take(await self._bus.call(image_store.APPLY, leased))
        try:
            await _send(channel, archive(made, spools))
            answer = b""
            while len(answer) < LONGEST_LINE and (data := await _read(channel)):
                answer += data
        finally:
            channel.close()
        _check(answer)
        return await self.resolve(msgspec.json.decode(answer.partition(b"\n")[0])["status"])

    async def _lines(self, offer: StreamOffer) -> Any:
        channel = await self._kernel.streams.take(offer)
        rest = b""
        try:
            while data := await _read(channel):
                *complete, rest = (rest + data).split(b"\n")
                for line in complete:
                    yield line + b"\n"
                if len(rest) > LONGEST_LINE:
                    raise InvalidArgument("the image store sent a line without an end")
            if rest:
                yield rest
        finally:
            channel.close()


def lease(build: str) -> str:
    """The key under which a build holds its images."""
    return f"build {build}"


async def _read(channel: Channel) -> bytes:
    try:
        return await channel.read()
    except ConnectionError:
        raise Unavailable("the image store ended the transfer; try again") from None


async def _send(channel: Channel, data: Iterator[bytes]) -> None:
    try:
        while piece := await asyncio.to_thread(_some, data):
            await channel.write(piece)
        await channel.write_eof()
    except ConnectionError:
        return  # it has seen enough; its answer says why


def _some(pieces: Iterator[bytes]) -> bytes:
    out = bytearray()
    for piece in pieces:
        out += piece
        if len(out) >= CHUNK:
            break
    return bytes(out)


def archive(made: Tree, spools: Spools) -> Iterator[bytes]:
    """The tar of a layer."""
    for header, source in entries(made):
        yield writer.encode(header)
        if source is None:
            continue
        offset, left = source.offset, source.size
        while left:
            data = spools.read(source.spool, offset, min(left, CHUNK))
            offset, left = offset + len(data), left - len(data)
            yield data
        yield writer.padding(source.size)
    yield writer.END


def _check(line: bytes) -> None:
    """Raises what an error line says."""
    if not line.startswith(b'{"error'):
        return
    told: Any = msgspec.json.decode(line.partition(b"\n")[0])
    detail = told.get("errorDetail") or {}
    message = str(detail.get("message") or told.get("error"))
    raise NotFound(message) if detail.get("code") == NotFound.code else InvalidArgument(message)


def _place(state: image_store.FileState) -> Place:
    above = tuple((each.path, directory(each.mode, each.uid, each.gid, each.mtime)) for each in state.above)
    return Place(state.path, state.kind, above)
