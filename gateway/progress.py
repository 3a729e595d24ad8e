"""Transfers with services: bytes in, progress lines or bytes out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec

from shared.contracts.common import StreamOffer
from shared.streams import Channel
from shared.tasks import TaskGroup

from .context import Gateway
from .http.errors import refusal
from .http.inbox import ClientGone
from .http.message import JSON, Headers, Request, Response

FIRST_LINE = 64 << 10
_LAST = 1024
"""Bytes of the two blocks of zeros that end a tar archive."""


async def transfer(
    gateway: Gateway, request: Request, offer: StreamOffer, errors_as_lines: bool = False
) -> Response | None:
    """The request's body goes in while the answer comes out.

    With `errors_as_lines` the answer is 200 whatever happens: clients of a load look for the error in its lines.
    """
    channel = await gateway.kernel.streams.take(offer)
    tasks = TaskGroup("transfer")
    upload = tasks.start(_upload(request, channel), "upload")
    telling = gateway.sources.images.changed
    answer = tasks.start(_answer(request, channel, JSON, errors_as_lines, telling=telling), "answer")
    try:
        await asyncio.wait((upload, answer), return_when=asyncio.FIRST_COMPLETED)
        if not answer.done() and not upload.result():
            return _cut_short(request)
        return await answer
    finally:
        await tasks.close()  # before the descriptor they wait on is closed
        channel.close()


async def download(
    gateway: Gateway,
    request: Request,
    offer: StreamOffer,
    headers: Headers = JSON,
    archive: bool = False,
    ends: tuple[bytes, ...] = (),
) -> Response | None:
    """Only the answer comes. What lacks its end must not look complete: the connection is broken off.

    An `archive` ends in zeros, lines of progress in one that has one of the words `ends`, or in an error.
    """
    channel = await gateway.kernel.streams.take(offer)
    try:
        telling = gateway.sources.images.changed if ends else _nothing
        return await _answer(request, channel, headers, archive=archive, ends=ends, telling=telling)
    finally:
        channel.close()


async def deliver(gateway: Gateway, request: Request, offer: StreamOffer) -> Response | None:
    """The request's body goes in; what comes is `{}`, or the error."""
    channel = await gateway.kernel.streams.take(offer)
    tasks = TaskGroup("deliver")
    upload = tasks.start(_upload(request, channel), "upload")
    answer = tasks.start(_whole(channel), "answer")
    try:
        await asyncio.wait((upload, answer), return_when=asyncio.FIRST_COMPLETED)
        if not answer.done() and not upload.result():
            return _cut_short(request)
        line = await answer
    finally:
        await tasks.close()
        channel.close()
    if line.strip() == b"{}":
        return Response(200)
    return error_line(line) or refusal(503, "the transfer was ended on the other side; try again")


async def _whole(channel: Channel) -> bytes:
    """All that comes, which is little."""
    line = b""
    try:
        while data := await channel.read():
            line += data
    except ConnectionError:
        return b""
    return line


async def _upload(request: Request, channel: Channel) -> bool:
    """False when the client's archive is cut short."""
    try:
        while data := await request.body.read():
            await channel.write(data)
        await channel.write_eof()
    except ClientGone:
        return False
    except ConnectionError:
        return True  # the store has seen enough; its answer says why
    return True


def _cut_short(request: Request) -> Response | None:
    if request.connection.answering:
        request.connection.abort()
        return None
    return refusal(400, "the archive was cut short: unexpected EOF", close=True)


def _nothing() -> None:
    """Bytes that tell of no change."""


async def _answer(
    request: Request,
    channel: Channel,
    headers: Headers,
    errors_as_lines: bool = False,
    archive: bool = False,
    ends: tuple[bytes, ...] = (),
    telling: Callable[[], None] = _nothing,
) -> Response | None:
    """Streams the answer. An error at its start is an HTTP error, unless it is to be a line as later ones are.

    `telling` is called before the client gets each piece: streams may be faster than the signal of what they tell of.
    """
    try:
        data = await channel.read()
    except ConnectionError:
        return refusal(503, "the transfer was ended on the other side; try again")
    failure = None if errors_as_lines else error_line(data)
    if failure is not None:
        return failure
    stream = request.stream(headers)
    tail, kept = b"", FIRST_LINE if ends else _LAST
    try:
        while data:
            tail = (tail + data)[-kept:] if len(data) < kept else data[-kept:]
            telling()
            await stream.write(data)
            data = await channel.read()
        telling()
        if (archive and tail != bytes(_LAST)) or (ends and not has_ended(tail, ends)):
            request.connection.abort()
    except ClientGone:
        raise
    except ConnectionError:
        request.connection.abort()  # an archive cut short must not look complete
    return None


def has_ended(lines: bytes, ends: tuple[bytes, ...]) -> bool:
    """Whether the last line is one that only comes at the end: it has one of these words, or tells an error."""
    last = lines.rstrip().rpartition(b"\n")[2]
    return any(word in last for word in (*ends, b'"errorDetail"'))


def error_line(data: bytes) -> Response | None:
    """The HTTP error for a stream that begins with Docker's error line."""
    if not data.startswith(b'{"error') or len(data) > FIRST_LINE:
        return None
    try:
        line: Any = msgspec.json.decode(data.partition(b"\n")[0])
    except msgspec.DecodeError:
        return None
    detail = line.get("errorDetail") or {}
    status = detail.get("code", 400)
    known = isinstance(status, int) and 400 <= status < 600
    return refusal(status if known else 400, str(detail.get("message") or line.get("error")))
