"""Streams between two hosts of a cluster, over TLS on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from shared import cluster, mutual_tls, pki
from shared.bus import MemoryBroker
from shared.clock import now_ns
from shared.errors import NotFound, Unavailable
from shared.service import Kernel
from shared.streams import direct
from shared.testing import kernel
from tests.support.certified import certify
from tests.support.streams import MEGABYTE, echo, read_all


class Pair:
    """Two hosts of one cluster, and what makes more."""

    def __init__(self, server: Kernel, client: Kernel, authority: pki.Identity) -> None:
        self.server, self.client, self.authority = server, client, authority

    async def taken(self, serve: Any, **changes: Any) -> Any:
        offer = await self.server.streams.offer_direct(serve)
        return await self.client.streams.take(msgspec.structs.replace(offer, **changes))


def join(state: Path, node: str, authority: pki.Identity) -> None:
    """Makes a host one of the cluster."""
    certify(cluster.folder(state), node, authority)
    cluster.save(state, cluster.Membership(cluster="c1", address="127.0.0.1:7377", hubs=()))


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[Pair]:
    authority, broker = pki.authority("c1", now_ns()), MemoryBroker()
    async with contextlib.AsyncExitStack() as stack:
        made = []
        for name, node in (("platform", "node-a"), ("gateway", "node-b")):
            join(tmp_path / node / "state", node, authority)
            made.append(await stack.enter_async_context(kernel(name, tmp_path / node, broker, node=node)))
        yield Pair(made[0], made[1], authority)


async def test_what_goes_in_comes_out_and_half_close_ends_it(pair: Pair) -> None:
    channel = await pair.taken(echo)
    assert isinstance(channel, direct.DirectChannel)
    await channel.write(b"hello")
    assert await channel.read(3) == b"hel"
    assert await channel.read() == b"lo"
    await channel.write(b"bye")
    await channel.write_eof()
    assert await read_all(channel) == b"bye"
    assert await channel.read() == b""
    channel.close()


async def test_a_renewed_certificate_is_shown_without_listening_anew(pair: Pair) -> None:
    async def shown() -> tuple[str, bytes]:
        offer = await pair.server.streams.offer_direct(echo)
        channel = await pair.client.streams.take(offer)
        assert isinstance(channel, direct.DirectChannel)
        certificate = channel._writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        channel.close()
        return offer.address, certificate

    before = await shown()
    join(pair.server.settings.state_path, "node-a", pair.authority)
    after = await shown()
    assert before[0] == after[0]
    assert before[1] != after[1]


async def test_much_flows_in_both_directions_at_once(pair: Pair) -> None:
    channel = await pair.taken(echo)

    async def send() -> None:
        for _ in range(8):
            await channel.write(MEGABYTE)
        await channel.write_eof()

    sending = asyncio.ensure_future(send())
    assert await read_all(channel) == MEGABYTE * 8
    await sending
    channel.close()


async def test_a_slow_reader_stops_the_writer(pair: Pair) -> None:
    written = 0

    async def serve(channel: Any) -> None:
        nonlocal written
        for _ in range(40):
            await channel.write(MEGABYTE)
            written += 1

    channel = await pair.taken(serve)
    first = await channel.read(10)
    await asyncio.sleep(0.2)
    assert written < 40
    assert first + await read_all(channel) == MEGABYTE * 40
    channel.close()


async def test_a_broken_off_stream_is_no_end(pair: Pair) -> None:
    async def serve(channel: Any) -> None:
        await channel.write(b"half")
        raise ConnectionResetError("something happened")

    channel = await pair.taken(serve)
    with pytest.raises(ConnectionResetError):
        await read_all(channel)
    channel.close()


async def test_it_can_be_taken_once(pair: Pair) -> None:
    offer = await pair.server.streams.offer_direct(echo)
    channel = await pair.client.streams.take(offer)
    with pytest.raises(NotFound):
        await pair.client.streams.take(offer)
    channel.close()


async def test_nobody_there(pair: Pair) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        free = taken.getsockname()[1]
    with pytest.raises(Unavailable):
        await pair.taken(echo, address=f"127.0.0.1:{free}")


async def test_another_host_at_the_address_is_not_trusted(pair: Pair) -> None:
    with pytest.raises(Unavailable, match="node node-a is there, not node-c"):
        await pair.taken(echo, stream_id="platform.node-c.x")


async def test_strangers_are_not_let_in(pair: Pair, tmp_path: Path) -> None:
    offer = await pair.server.streams.offer_direct(echo)
    certify(tmp_path / "stranger", "node-b")
    context = mutual_tls.client(tmp_path / "stranger")
    context.load_verify_locations(cadata=pair.authority.certificate.decode())
    host, _, port = offer.address.partition(":")
    got = b""
    with contextlib.suppress(ssl.SSLError, ConnectionError):  # TLS 1.3 tells a client when it reads
        reader, writer = await asyncio.open_connection(host, int(port), ssl=context)
        writer.write(offer.ticket.encode())
        got = await reader.read(1)
    assert not got
    channel = await pair.client.streams.take(offer)
    channel.close()


async def test_who_is_in_no_cluster_goes_over_the_bus(pair: Pair, tmp_path: Path) -> None:
    cluster.forget(tmp_path / "node-b" / "state")
    channel = await pair.taken(echo)
    assert not isinstance(channel, direct.DirectChannel)
    channel.close()
    cluster.forget(tmp_path / "node-a" / "state")
    offer = await pair.server.streams.offer_direct(echo)
    assert not offer.address


async def test_rest_is_when_nobody_reads(pair: Pair) -> None:
    channel = await pair.taken(echo)
    rests = [pair.server.streams.at_rest]
    await channel.write_eof()
    assert await read_all(channel) == b""
    channel.close()
    async with asyncio.timeout(30):
        while not rests[-1]:
            await asyncio.sleep(0.01)
            rests.append(pair.server.streams.at_rest)
    assert not rests[0]
