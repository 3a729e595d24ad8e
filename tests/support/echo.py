"""A small contract for the kernel's own tests: what goes in comes out."""

from __future__ import annotations

import asyncio

from shared.contracts.base import Contract, Empty, Endpoint, Event, Keys, Message
from shared.contracts.common import StreamOffer
from shared.errors import KINDS, NotFound
from shared.service import Kernel
from shared.streams import Channel


class Text(Message, frozen=True):
    text: str = ""
    count: int = 0


ECHO = Endpoint("echo.echo", Text, Text, idempotent=True)
FAIL = Endpoint("echo.fail", Text, Empty, (NotFound,))
WAIT = Endpoint("echo.wait", Text, Text, timeout=0)
ANY = Endpoint("echo.any", Text, Text, host_bound=False, idempotent=True)
OPEN = Endpoint("echo.open", Text, StreamOffer)
SAID = Event("echo", Text)
HINT = Event("echo.hint", Text, kept=False)
RECORDS = Keys("echoes.*", Text)
PARTS = Keys("echoes.*.part", Text)

CONTRACT = Contract(
    name="echo",
    version="v1",
    summary="What goes in comes out.",
    endpoints=(ECHO, FAIL, WAIT, ANY, OPEN),
    events=(SAID, HINT),
    owns=(RECORDS, PARTS),
)


class EchoService:
    """`wait` answers when `release` is set.

    `begun` counts what was begun; `begins` and `waiting` tell of waits, `given_up` of one that was cut short.
    """

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self.begun = 0
        self.begins: asyncio.Queue[Text] = asyncio.Queue()
        self.waiting = asyncio.Event()
        self.release = asyncio.Event()
        self.given_up = asyncio.Event()
        self.served: list[Channel] = []

    async def echo(self, request: Text) -> Text:
        """With the text `grow`: as many letters as `count` says; with `tell`: a hint is told."""
        self.begun += 1
        if request.text == "tell":
            self._kernel.bus.emit(HINT, request)
        return Text(text="x" * request.count) if request.text == "grow" else request

    async def any(self, request: Text) -> Text:
        self.begun += 1
        return Text(text=self._kernel.node)

    async def fail(self, request: Text) -> Empty:
        raise KINDS[request.text](f"failed with {request.text}", field="text")

    async def wait(self, request: Text) -> Text:
        self.begun += 1
        self.begins.put_nowait(request)
        self.waiting.set()
        try:
            await self.release.wait()
        except asyncio.CancelledError:
            self.given_up.set()
            raise
        return request

    async def open(self, request: Text) -> StreamOffer:
        return self._kernel.streams.offer(self._echo)

    async def _echo(self, channel: Channel) -> None:
        """Sends back all that comes, then ends its direction."""
        self.served.append(channel)
        while data := await channel.read():
            await channel.write(data)
