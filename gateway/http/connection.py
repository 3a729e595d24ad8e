"""One client connection: requests one after another, until one of them takes it over."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, cast

from shared.tasks import TaskGroup

from . import head as heads
from .errors import HttpError, refusal
from .inbox import ClientGone, Inbox
from .kept import Kept
from .message import Headers, Request, Response
from .outlet import Duplex, Stream
from .wire import render_head, render_response

HEAD_DEADLINE = 30.0
"""Seconds from the first byte of a request to the end of its head."""
LINGER = 2.0
"""Seconds in which a client may still send what nobody reads any more, so that it sees the answer."""
WRITE_HIGH = 512 << 10
_BUFFER_LIMIT = 256 << 10

Handler = Callable[[Request], Awaitable[Response | None]]
"""Answers a request; None: the handler has answered through a stream or has taken the connection over."""


class Connection(asyncio.Protocol):
    """HTTP/1.1 server side of one socket. `handler` must not raise."""

    def __init__(self, handler: Handler, tasks: TaskGroup, open_connections: set[Connection], kept: Kept) -> None:
        self._handler, self._tasks, self._open, self._kept = handler, tasks, open_connections, kept
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self._head: heads.Head | None = None
        self._head_bytes = b""
        self._request: Request | None = None
        self._left: int | None = 0
        self._inbox: Inbox | None = None
        self._stream: Stream | None = None
        self._task: asyncio.Task[Any] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._hijacked = self._discarding = self._closing = self._eof = False
        self._writable: asyncio.Future[None] | None = None
        self._write_paused = False

    # What the transport calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=WRITE_HIGH)
        self._open.add(self)

    def data_received(self, data: bytes) -> None:
        if self._discarding:
            return
        if self._hijacked:
            assert self._inbox is not None
            self._inbox.feed(data)
        elif self._idle and (answer := self._kept.get(data)) is not None:
            self.send((answer,))
        else:
            self._buffer = self._buffer + data if self._buffer else data
            self._advance()

    @property
    def _idle(self) -> bool:
        """Whether the next bytes begin a request, and its answer can be written."""
        return self._request is None and not self._buffer and not self._write_paused

    def eof_received(self) -> bool:
        self._eof = True
        if self._request is None or self._discarding:
            return False
        if self._hijacked and self._inbox is not None:
            self._inbox.feed_eof()
            return True
        if self._inbox is not None and not self._inbox.complete:
            self._inbox.fail()
        if self._stream is not None and self._task is not None:
            self._task.cancel()  # nobody listens to a stream whose client has gone
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._open.discard(self)
        self._stop_timer()
        if self._inbox is not None:
            self._inbox.fail()
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        if self._task is not None and (self._stream is not None or self._hijacked):
            self._task.cancel()

    def pause_writing(self) -> None:
        self._write_paused = True
        self._writable = self._loop.create_future()

    def resume_writing(self) -> None:
        self._write_paused = False
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)

    # Requests.

    def _advance(self) -> None:
        try:
            if self._request is None:
                self._read_head()
            if self._request is not None and self._inbox is not None and not self._inbox.complete:
                self._read_body()
        except HttpError as error:
            self._refuse(error)
        if self._request is not None and len(self._buffer) > _BUFFER_LIMIT and self._transport is not None:
            self._transport.pause_reading()  # pipelined requests wait their turn

    def _read_head(self) -> None:
        end = self._buffer.find(heads.END)
        if end > heads.MAX_HEAD or (end < 0 and len(self._buffer) > heads.MAX_HEAD):
            raise HttpError(431, f"request header too large: at most {heads.MAX_HEAD} bytes")
        if end < 0:
            if self._eof:
                self.close()
            elif self._timer is None and self._buffer:
                self._timer = self._loop.call_later(HEAD_DEADLINE, self._too_slow)
            return
        self._stop_timer()
        self._head_bytes, self._buffer = self._buffer[: end + 4], self._buffer[end + 4 :]
        self._begin(heads.parse(self._head_bytes))

    def _begin(self, head: heads.Head) -> None:
        path, query = head.split_target()
        self._head, self._left = head, head.length
        self._inbox = Inbox(self._pause, self._resume)
        request = Request(self, head.method, path, query, head.headers, self._inbox)
        request.keep_alive, request.content_length = head.keep_alive, head.length
        self._request = request
        if self._left == 0:
            self._inbox.feed_eof()
        elif head.headers.get("expect", "").lower() == "100-continue":
            self.send((b"HTTP/1.1 100 Continue\r\n\r\n",))
        self._task = self._tasks.start(self._answer(request), "request")

    def _read_body(self) -> None:
        assert self._inbox is not None
        assert self._head is not None
        if self._left is None:
            data, self._buffer = self._buffer, b""
            self._head.feed(data)
            self._inbox.feed(self._head.take())
            if self._head.complete:
                self._inbox.feed_eof()
            return
        data, self._buffer = self._buffer[: self._left], self._buffer[self._left :]
        self._left -= len(data)
        self._inbox.feed(data)
        if self._left == 0:
            self._inbox.feed_eof()

    async def _answer(self, request: Request) -> None:
        try:
            response = await self._handler(request)
            if response is not None:
                self._respond(request, response)
                if self._write_paused:
                    await self.drain()  # who does not take its answers gets no more of them
        except ClientGone:
            self.abort()
            return
        except asyncio.CancelledError:
            self.abort()
            raise
        if response is None and self._stream is not None:
            self._end_stream(self._stream)
        if not self._hijacked:
            self._finish(request, response is not None and response.close)

    @staticmethod
    def _end_stream(stream: Stream) -> None:
        try:
            stream.end()
        except ClientGone:
            pass  # there is nobody to tell

    def _respond(self, request: Request, response: Response) -> None:
        close = response.close or self._must_close(request)
        self.send((render_response(response, request.method == "HEAD", close),))
        if response.fresh is not None and not close:
            self._kept.put(self._head_bytes, request, response)

    def _must_close(self, request: Request) -> bool:
        incomplete = self._inbox is not None and not self._inbox.complete
        last = self._eof and not self._buffer  # a client may half-close behind requests that still wait
        return incomplete or not request.keep_alive or self._closing or last

    def _finish(self, request: Request, close: bool) -> None:
        if close or self._must_close(request):
            self._linger()
            return
        self._request = self._head = self._inbox = self._stream = self._task = None
        self._resume()
        if self._buffer:
            self._advance()

    def _refuse(self, error: HttpError) -> None:
        """Answers what could not be parsed. Within a body, the handler has the say and only loses its input."""
        self._stop_timer()
        if self._request is not None:
            if self._inbox is not None:
                self._inbox.fail()
            return
        self.send((render_response(refusal(error.status, error.message), False, True),))
        self._linger()

    def _too_slow(self) -> None:
        self._timer = None
        self._refuse(HttpError(408, f"request header not complete within {HEAD_DEADLINE:.0f} seconds"))

    # What handlers use.

    def begin_stream(self, request: Request, status: int, headers: Headers) -> Stream:
        chunked = request.keep_alive
        self.send((render_head(status, headers, chunked=chunked, close=self._must_close(request)),))
        self._stream = Stream(self, chunked, request.method == "HEAD")
        if self._eof and self._task is not None:
            self._task.cancel()
        return self._stream

    def hijack(self, head: bytes) -> Duplex:
        inbox = Inbox(self._pause, self._resume)
        rest, self._buffer = self._buffer, b""
        self._hijacked, self._inbox = True, inbox
        inbox.feed(rest)
        if self._eof:
            inbox.feed_eof()
        self._resume()
        self.send((head,))
        return Duplex(self, inbox)

    def send(self, parts: Sequence[bytes]) -> None:
        """Writes without waiting; raises `ClientGone` when there is no client any more."""
        if self._transport is None or self._transport.is_closing():
            if self._hijacked or self._stream is not None:
                raise ClientGone("the client closed the connection")
            return
        if len(parts) == 1:
            self._transport.write(parts[0])
        else:
            self._transport.writelines(parts)

    async def drain(self) -> None:
        """Waits while the client takes what was sent; raises `ClientGone`."""
        while self._write_paused and self._transport is not None and self._writable is not None:
            await asyncio.shield(self._writable)
        if self._transport is None:
            raise ClientGone("the client closed the connection")

    @property
    def answering(self) -> bool:
        """An answer has begun that is not a whole one: its status cannot be changed any more."""
        return self._stream is not None or self._hijacked

    def fileno(self) -> int:
        sock = self._transport.get_extra_info("socket") if self._transport is not None else None
        return -1 if sock is None else int(sock.fileno())

    def close(self) -> None:
        """Ends the connection after what was written; what the client still sends is not reset under it."""
        if self._hijacked:
            self._linger()
        elif self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def drain_and_close(self) -> None:
        """The server stops: an idle connection ends now, a busy one after its answer."""
        self._closing = True
        if self._request is None:
            self.close()
        elif self._stream is not None and self._task is not None:
            self._task.cancel()

    # Helpers.

    def _pause(self) -> None:
        if self._transport is not None:
            self._transport.pause_reading()

    def _resume(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _linger(self) -> None:
        """Closes so that a client which still sends sees the answer, not a reset."""
        transport = self._transport
        if transport is None or self._discarding or transport.is_closing():
            return
        incomplete = self._request is None or self._hijacked or not (self._inbox is None or self._inbox.complete)
        if self._eof or not incomplete or not transport.can_write_eof():
            transport.close()
            return
        self._discarding = True
        self._buffer = b""
        transport.write_eof()
        transport.resume_reading()
        self._timer = self._loop.call_later(LINGER, self.abort)
