"""What other hosts' image stores ask: which blobs are here, and for their bytes."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable

from shared.contracts.peers import HELD_SECONDS, PIECE_BYTES, HoldsReply, HoldsRequest, ReadReply, ReadRequest
from shared.digest import check_sha256, hex_of
from shared.errors import InvalidArgument, NotFound
from shared.tasks import TaskGroup

from .images import Images

MOST_DIGESTS = 1000
_LEASE = "read-"


class Serving:
    """Answers them. What it says it has is held for a while, so that nobody loses what he is reading."""

    def __init__(self, images: Images) -> None:
        self._images = images
        self._tasks = TaskGroup("serving")
        self._timer: asyncio.TimerHandle | None = None

    def open(self) -> None:
        """Goes on holding what others read when this process began."""
        self._arm()

    async def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        await self._tasks.close()

    async def holds(self, request: HoldsRequest) -> HoldsReply:
        """Raises `InvalidArgument` for what is no digest, and for more of them than anybody needs."""
        if len(request.digests) > MOST_DIGESTS:
            raise InvalidArgument(f"digests: at most {MOST_DIGESTS} at once")
        wanted = [check_sha256(digest, "digests") for digest in request.digests]
        held = tuple(digest for digest in wanted if self._images.content.has(digest))
        await self._hold(held)
        return HoldsReply(digests=held)

    async def read(self, request: ReadRequest) -> ReadReply:
        """Raises `NotFound` for a blob that is not here, `InvalidArgument` for what is no piece of one."""
        digest = check_sha256(request.digest, "digest")
        if request.offset < 0 or not 0 <= request.length <= PIECE_BYTES:
            raise InvalidArgument(f"offset, length: no piece of a blob; at most {PIECE_BYTES} bytes at once")
        if not self._images.content.has(digest):
            raise NotFound(f"no blob {digest}")
        await self._hold((digest,))
        return await asyncio.to_thread(_read, self._images, digest, request.offset, request.length)

    async def _hold(self, digests: Iterable[str]) -> None:
        """Nothing comes in between before they are held; then it waits until that is written down."""
        leases, named = self._images.leases, {f"{_LEASE}{hex_of(digest)}": digest for digest in digests}
        due = {name: digest for name, digest in named.items() if leases.left(name) < HELD_SECONDS / 2}
        if due:
            try:
                await leases.keep_each(due, HELD_SECONDS)
            finally:
                self._arm()

    def _arm(self) -> None:
        """One timer for all, as long as there is anything to hold."""
        if self._timer is None and any(name.startswith(_LEASE) for name in self._images.leases.names()):
            self._timer = asyncio.get_running_loop().call_later(HELD_SECONDS, self._due)

    def _due(self) -> None:
        self._timer = None
        self._tasks.start(self._let_go(), "let go")

    async def _let_go(self) -> None:
        await self._images.give_up()
        self._arm()


def _read(images: Images, digest: str, offset: int, length: int) -> ReadReply:
    try:
        with open(images.content.path(digest), "rb") as file:
            return ReadReply(data=os.pread(file.fileno(), length, offset), size=os.fstat(file.fileno()).st_size)
    except FileNotFoundError:
        raise NotFound(f"no blob {digest}") from None
