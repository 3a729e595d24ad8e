from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from gateway.http import connection as module
from gateway.http.connection import Connection
from gateway.http.errors import HttpError, refusal
from gateway.http.kept import Kept
from gateway.http.message import Request, Response
from gateway.sources import Unchanged
from shared.tasks import TaskGroup
from tests.support.http import Client, connected
from tests.support.waiting import until

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
MUCH = bytes(60_000)


class Site:
    """A server whose handlers show what the connection does."""

    def __init__(self) -> None:
        self.tasks, self.connections = TaskGroup("test"), set[Connection]()
        self.waiting, self.cancelled = asyncio.Event(), asyncio.Event()
        self.release = asyncio.Event()

    async def handle(self, request: Request) -> Response | None:
        pages: dict[str, Callable[[Request], object]] = {
            "/echo": self.echo,
            "/raw": self.raw,
            "/deaf": self.deaf,
            "/forever": self.forever,
            "/later": self.later,
            "/much": self.much,
            "/fresh": self.fresh,
            "/body": self.body,
        }
        page = pages.get(request.path)
        if page is None:
            return Response(200, b"OK")
        return await page(request)  # type: ignore[misc, no-any-return]

    async def echo(self, request: Request) -> None:
        stream = request.stream()
        while data := await request.body.read():
            await stream.write(data)

    async def body(self, request: Request) -> Response:
        size = 0
        try:
            while data := await request.body.read():
                size += len(data)
        except ConnectionError:
            return refusal(400, "unexpected EOF")
        return Response(200, b"%d" % size)

    async def raw(self, request: Request) -> None:
        duplex = request.hijack(b"HTTP/1.1 101 UPGRADED\r\n\r\n")
        while data := await duplex.read():
            await duplex.write(data)
        await duplex.write(b"|after your end")
        duplex.close()

    async def deaf(self, request: Request) -> None:
        duplex = request.hijack(b"HTTP/1.1 101 UPGRADED\r\n\r\n")
        await duplex.write(b"enough")
        duplex.close()

    async def forever(self, request: Request) -> None:
        request.stream()
        self.waiting.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.cancelled.set()

    async def much(self, request: Request) -> Response:
        return Response(200, MUCH)

    async def fresh(self, request: Request) -> Response:
        return Response(200, MUCH, fresh=Unchanged())

    async def later(self, request: Request) -> Response:
        self.waiting.set()
        await self.release.wait()
        return Response(200, b"done")


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    made = Site()
    server = await asyncio.get_running_loop().create_unix_server(
        lambda: Connection(made.handle, made.tasks, made.connections, Kept()), str(tmp_path / "s")
    )
    try:
        yield made
    finally:
        server.close()
        await made.tasks.close()


@pytest.fixture
async def client(site: Site, tmp_path: Path) -> AsyncIterator[Client]:
    async with connected(tmp_path / "s") as made:
        yield made


async def test_a_connection_serves_one_request_after_another(client: Client) -> None:
    await client.send(GET)
    assert (await client.answer()).body == b"OK"
    await client.send(GET + GET)
    assert [(await client.answer()).body, (await client.answer()).body] == [b"OK", b"OK"]


async def test_a_head_may_come_in_pieces(client: Client) -> None:
    for byte in GET:
        await client.send(bytes((byte,)))
    assert (await client.answer()).status == 200


async def test_bodies_by_length_and_in_chunks(client: Client) -> None:
    await client.send(b"POST /echo HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello" + GET)
    assert (await client.answer()).body == b"hello"
    assert (await client.answer()).body == b"OK"
    await client.send(b"POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
    assert (await client.answer()).body == b"abcde"


async def test_a_large_body_streams_through(client: Client) -> None:
    size = 8 << 20
    await client.send(b"POST /echo HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % size)

    async def upload() -> None:
        for _ in range(size >> 16):
            await client.send(b"x" * (1 << 16))

    sending = asyncio.get_running_loop().create_task(upload())
    assert len((await client.answer()).body) == size
    await sending


async def test_a_client_that_asks_first_is_told_to_go_on(client: Client) -> None:
    await client.send(b"POST /echo HTTP/1.1\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
    assert (await client.head()).status == 100
    await client.send(b"hi")
    assert (await client.answer()).body == b"hi"


@pytest.mark.parametrize("upgrade", [b"Connection: Upgrade\r\nUpgrade: tcp\r\n", b""])
@pytest.mark.parametrize("body", [b"", b"{}"])
async def test_bytes_sent_with_the_head_reach_a_hijacked_stream(client: Client, upgrade: bytes, body: bytes) -> None:
    head = b"POST /raw HTTP/1.1\r\n" + upgrade + b"Content-Length: %d\r\n\r\n" % len(body)
    await client.send(head + body + b"early")
    assert (await client.head()).status == 101
    assert await client.reader.readexactly(5) == b"early"
    client.half_close()
    assert await client.reader.read() == b"|after your end"


async def test_a_client_that_still_sends_sees_the_end_and_no_reset(client: Client) -> None:
    await client.send(b"POST /deaf HTTP/1.1\r\n\r\n")
    sending = asyncio.get_running_loop().create_task(client.send(b"x" * 4_000_000))
    await client.head()
    assert await client.reader.read() == b"enough"
    await sending


async def test_a_half_close_before_the_answer_does_not_lose_it(client: Client) -> None:
    await client.send(b"POST /raw HTTP/1.1\r\nContent-Length: 0\r\n\r\nearly")
    client.half_close()
    await client.head()
    assert await client.reader.read() == b"early|after your end"


async def test_a_request_of_a_half_closed_client_is_answered(client: Client, site: Site) -> None:
    await client.send(b"GET /later HTTP/1.1\r\n\r\n")
    client.half_close()
    await site.waiting.wait()
    site.release.set()
    answer = await client.answer()
    assert (answer.body, answer.headers["connection"]) == (b"done", "close")


async def test_requests_that_wait_are_answered_to_a_half_closed_client(client: Client) -> None:
    await client.send(GET * 3)
    client.half_close()
    answers = [await client.answer() for _ in range(3)]
    assert ["connection" in answer.headers for answer in answers] == [False, False, True]
    assert await client.reader.read() == b""


async def test_half_a_request_of_a_half_closed_client_is_dropped(client: Client) -> None:
    await client.send(GET + b"GET / HT")
    client.half_close()
    assert (await client.answer()).body == b"OK"
    assert await client.reader.read() == b""


async def test_a_stream_ends_when_its_client_goes(client: Client, site: Site) -> None:
    await client.send(b"GET /forever HTTP/1.1\r\n\r\n")
    await site.waiting.wait()
    client.writer.close()
    await site.cancelled.wait()
    assert site.cancelled.is_set()


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"\x16\x03\x01\x02\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nX: " + b"a" * 70_000, 431),
        (b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    ],
)
async def test_what_is_no_request_is_refused_in_dockers_form(client: Client, data: bytes, status: int) -> None:
    await client.send(data)
    answer = await client.answer()
    assert answer.status == status
    assert answer.message
    assert await client.reader.read() == b""


async def test_a_broken_chunk_ends_the_body(client: Client) -> None:
    await client.send(b"POST /body HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\n")
    answer = await client.answer()
    assert (answer.status, answer.message) == (400, "unexpected EOF")


async def test_a_body_cut_short_is_seen_by_the_handler(client: Client) -> None:
    await client.send(b"POST /body HTTP/1.1\r\nContent-Length: 10\r\n\r\nabc")
    client.half_close()
    assert (await client.answer()).message == "unexpected EOF"


async def test_an_early_answer_reaches_a_client_that_still_sends(client: Client) -> None:
    await client.send(b"POST / HTTP/1.1\r\nContent-Length: 4000000\r\n\r\n")
    answer = await client.answer()
    assert (answer.body, answer.headers["connection"]) == (b"OK", "close")
    await client.send(b"x" * 500_000)
    client.half_close()
    assert await client.reader.read() == b""


async def test_a_slow_head_is_refused(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HEAD_DEADLINE", 0.01)
    await client.send(b"GET / HTTP/1.1\r\nHost:")
    answer = await client.answer()
    assert answer.status == 408
    assert "not complete" in answer.message


async def test_an_idle_connection_is_left_alone(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HEAD_DEADLINE", 0.01)
    await client.send(GET)
    await client.answer()
    await asyncio.sleep(0.05)  # longer than a head may take
    await client.send(GET)
    assert (await client.answer()).status == 200


async def test_an_old_client_gets_a_plain_stream(client: Client) -> None:
    await client.send(b"POST /echo HTTP/1.0\r\nContent-Length: 2\r\n\r\nhi")
    answer = await client.answer()
    assert (answer.body, "transfer-encoding" in answer.headers) == (b"hi", False)


async def test_a_stopping_server_ends_idle_connections_and_finishes_busy_ones(
    client: Client, site: Site, tmp_path: Path
) -> None:
    await client.send(b"GET /later HTTP/1.1\r\n\r\n")
    await site.waiting.wait()
    async with connected(tmp_path / "s") as idle:
        await idle.send(GET)
        await idle.answer()
        for one in tuple(site.connections):
            one.drain_and_close()
        assert await idle.reader.read() == b""
    site.release.set()
    assert (await client.answer()).headers["connection"] == "close"


@pytest.mark.parametrize("path", ["much", "fresh"])
async def test_who_does_not_read_its_answers_gets_no_more_of_them(client: Client, site: Site, path: str) -> None:
    for _ in range(200):
        await client.send(f"GET /{path} HTTP/1.1\r\n\r\n".encode())
        await asyncio.sleep(0)
    [one] = site.connections
    await until(lambda: one._write_paused, 60)
    waiting = 0
    for _ in range(200):
        assert one._transport is not None
        waiting = max(waiting, one._transport.get_write_buffer_size())
        assert (await client.answer()).body == MUCH
    assert waiting < module.WRITE_HIGH + 2 * len(MUCH)


async def test_no_connection_is_kept_after_its_client_has_gone(site: Site, tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        async with connected(tmp_path / "s") as one:
            await one.send(GET)
            await one.answer()
    for _ in range(100):
        await asyncio.sleep(0)
    assert len(os.listdir("/proc/self/fd")) <= before + 1


def test_an_http_error_closes_unless_said() -> None:
    assert HttpError(413, "x").close
    assert not HttpError(400, "x", close=False).close
