from __future__ import annotations

import asyncio
import shutil
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.http.tls import Contexts, Files, TlsProtocol
from shared.errors import FailedPrecondition
from tests.support.mutual_tls import Authority, Pair


class Echo(asyncio.Protocol):
    """Sends everything back in capitals, and after the client's end a last word."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.writelines([data.upper()])  # type: ignore[attr-defined]

    def eof_received(self) -> bool:
        asyncio.get_running_loop().call_later(0.01, self._last)
        return True

    def _last(self) -> None:
        self.transport.write(b"after the end")  # type: ignore[attr-defined]
        self.transport.close()


class World:
    """An authority, a server with its certificate, a client's."""

    def __init__(self, folder: Path) -> None:
        self.authority = Authority(folder)
        self.server = self.authority.sign("server", client=False)
        self.client = self.authority.sign("client", client=True)
        self.contexts = Contexts(Files(str(self.server.cert), str(self.server.key), str(self.authority.cert)))
        self.port = 0

    def client_context(self, pair: Pair | None, newest: ssl.TLSVersion | None = None) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.authority.cert))
        if newest is not None:
            context.maximum_version = newest
        if pair is not None:
            context.load_cert_chain(pair.cert, pair.key)
        return context

    async def talk(self, context: ssl.SSLContext, data: bytes) -> bytes:
        """Sends, ends its direction by close_notify alone, and reads to the end: what Go's CloseWrite does."""
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_hostname="127.0.0.1")
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)

        async def until(action):
            while True:
                try:
                    done = action()
                except ssl.SSLZeroReturnError:
                    return b""
                except ssl.SSLWantReadError:
                    writer.write(outgoing.read())
                    if got := await reader.read(65536):
                        incoming.write(got)
                    else:
                        incoming.write_eof()
                else:
                    writer.write(outgoing.read())
                    return done

        try:
            await until(tls.do_handshake)
            tls.write(data)
            received = b""
            while len(received) < len(data):
                received += await until(lambda: tls.read(65536))
            with pytest.raises(ssl.SSLWantReadError):
                tls.unwrap()  # our close_notify goes out; theirs is still to come
            writer.write(outgoing.read())
            while got := await until(lambda: tls.read(65536)):
                received += got
            return received
        finally:
            writer.close()


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = World(tmp_path)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: TlsProtocol(made.contexts, Echo), "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    yield made
    server.close()


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_output_goes_on_after_the_clients_end(world: World, newest: ssl.TLSVersion) -> None:
    data = b"x" * 300_000
    answer = await world.talk(world.client_context(world.client, newest), data)
    assert len(answer) == len(data) + 13
    assert answer == data.upper() + b"after the end"


async def refused(world: World, pair: Pair | None) -> bool:
    try:
        await world.talk(world.client_context(pair), b"x")
    except (ssl.SSLError, ConnectionError):
        return True
    return False


async def test_clients_need_a_certificate_for_clients_of_the_authority(world: World, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    stranger = Authority(tmp_path / "other").sign("stranger", client=True)
    outdated = world.authority.sign("outdated", client=True, days=-1)
    for pair in (None, stranger, outdated, world.server):
        assert await refused(world, pair)
    assert not await refused(world, world.client)


async def test_older_versions_are_refused(world: World) -> None:
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context = world.client_context(world.client, ssl.TLSVersion.TLSv1_1)
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await world.talk(context, b"x")


async def test_what_is_not_tls_is_cut_off(world: World) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", world.port)
    writer.write(b"GET /_ping HTTP/1.1\r\n\r\n")
    assert b"200" not in await reader.read()
    writer.close()


async def test_http_without_tls_is_told_so(world: World) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", world.port)
    writer.write(b"GET /_ping HTTP/1.1\r\nHost: x\r\n\r\n")
    answer = await asyncio.wait_for(reader.read(), 60)
    assert answer.startswith(b"HTTP/1.0 400 Bad Request\r\n")
    assert answer.endswith(b"Client sent an HTTP request to an HTTPS server.\n")
    writer.close()


async def test_new_certificates_count_without_a_restart(world: World, tmp_path: Path) -> None:
    first = world.contexts.current()
    assert world.contexts.current() is first
    world.server.cert.write_text("nonsense")
    assert world.contexts.current() is first
    renewed = world.authority.sign("renewed", client=False)
    shutil.copy(renewed.cert, world.server.cert)
    shutil.copy(renewed.key, world.server.key)
    assert world.contexts.current() is not first
    assert not await refused(world, world.client)


def test_files_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(FailedPrecondition, match="could not load TLS certificates /absent"):
        Contexts(Files("/absent", "/absent"))
