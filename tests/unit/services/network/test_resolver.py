"""The embedded DNS of containers."""

from __future__ import annotations

import asyncio
import socket
import struct
from pathlib import Path

import pytest

from services.network import resolver
from services.network.adapters.dns_server import DnsServer
from services.network.adapters.dns_sockets import DnsSockets
from services.network.domain import dns
from shared.contracts.container import EndpointSettings
from shared.contracts.network import CREATE, RENAMED, CreateRequest, RenamedRequest, Sandbox
from tests.support.network_world import NetworkWorld, address_of, socket_in

WEB = {"web": EndpointSettings(aliases=("api",))}


async def ask(sandbox: Sandbox, name: str, kind: int = dns.A) -> tuple[int, list[str]]:
    """Response code and the addresses of an answer to a question asked in the sandbox."""
    loop = asyncio.get_running_loop()
    question = struct.pack("!HHHHHH", 7, 0x0100, 1, 0, 0, 0) + dns.encode_name(name) + struct.pack("!HH", kind, 1)
    with socket_in(sandbox.path, socket.SOCK_DGRAM) as client:
        client.connect(("127.0.0.11", 53))
        await loop.sock_sendall(client, question)
        async with asyncio.timeout(60):
            reply = await loop.sock_recv(client, 1000)
    count = struct.unpack_from("!H", reply, 6)[0]
    records = [reply[len(question) + 16 * each :][12:16] for each in range(count)] if kind == dns.A else []
    return reply[3] & 15, [socket.inet_ntoa(record) for record in records]


async def make(world: NetworkWorld, *containers: str) -> list[Sandbox]:
    await world.bus.call(CREATE, CreateRequest(name="web"))
    return [await world.sandbox(container, endpoints=WEB) for container in containers]


@pytest.mark.usefixtures("service")
async def test_containers_find_each_other_by_name(world: NetworkWorld) -> None:
    one, two = await make(world, "c1", "c2")
    assert Path(one.files["/etc/resolv.conf"]).read_text().endswith("nameserver 127.0.0.11\noptions ndots:0\n")
    assert await ask(one, "name-c2") == (dns.NOERROR, [address_of(two, "web")])
    assert await ask(two, "NAME-C1.web") == (dns.NOERROR, [address_of(one, "web")])
    assert set((await ask(one, "api"))[1]) == {address_of(one, "web"), address_of(two, "web")}
    assert await ask(one, "name-c2", dns.AAAA) == (dns.NOERROR, [])
    await world.release("c2")
    assert (await ask(one, "api"))[1] == [address_of(one, "web")]


@pytest.mark.usefixtures("service")
async def test_a_new_name_counts_at_once(world: NetworkWorld) -> None:
    one, two = await make(world, "c1", "c2")
    await world.bus.call(RENAMED, RenamedRequest(container_id="c2", name="fresh"))
    assert await ask(one, "fresh") == (dns.NOERROR, [address_of(two, "web")])


@pytest.mark.usefixtures("service")
async def test_what_is_asked_again_is_answered_as_it_is_now(
    world: NetworkWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = await make(world, "c1", "c2")
    first = await ask(one, "name-c2")
    with monkeypatch.context() as patch:
        patch.setattr(dns, "parse", lambda message: pytest.fail("parsed again"))
        assert await ask(one, "name-c2") == first == (dns.NOERROR, [address_of(two, "web")])
    assert len({tuple((await ask(one, "api"))[1]) for _ in range(4)}) == 2  # in turn: never the same again
    await world.bus.call(RENAMED, RenamedRequest(container_id="c2", name="other"))
    await world.release("c1")
    three = await world.sandbox("c3", endpoints=WEB)
    assert await ask(two, "name-c3") == (dns.NOERROR, [address_of(three, "web")])
    assert await ask(three, "other") == (dns.NOERROR, [address_of(two, "web")])
    assert (await ask(three, "name-c2"))[1] == []


@pytest.mark.usefixtures("service")
async def test_no_more_answers_are_kept_than_may_be(world: NetworkWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolver, "MOST_KEPT", 2)
    one, two = await make(world, "c1", "c2")
    for name in ("name-c2", "NAME-c2", "nAME-c2", "Name-c2", "name-c2"):
        assert await ask(one, name) == (dns.NOERROR, [address_of(two, "web")])


async def test_names_are_answered_after_a_restart(world: NetworkWorld) -> None:
    async with world.running():
        one, two = await make(world, "c1", "c2")
    async with world.running():
        assert await ask(one, "name-c2") == (dns.NOERROR, [address_of(two, "web")])


@pytest.mark.usefixtures("service")
async def test_other_names_are_asked_of_the_servers_that_were_named(world: NetworkWorld) -> None:
    """From inside the container: the server is there."""
    await world.bus.call(CREATE, CreateRequest(name="web"))
    one = await world.sandbox("c1", endpoints=WEB, dns=("127.0.0.77",))
    made = []
    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
        each = socket_in(one.path, kind)
        each.setblocking(False)
        each.bind(("127.0.0.77", 53))
        made.append(each)
    made[1].listen()

    async def unknown(message: bytes, _: bool) -> bytes:
        return dns.refuse(dns.parse(message), dns.NXDOMAIN)

    server = DnsServer(DnsSockets(*made), unknown)
    assert await ask(one, "example.org") == (dns.NXDOMAIN, [])
    server.close()
    assert await ask(one, "example.org") == (dns.SERVFAIL, [])


@pytest.mark.usefixtures("service")
async def test_from_an_internal_network_nothing_is_asked_outside(world: NetworkWorld) -> None:
    await world.bus.call(CREATE, CreateRequest(name="web", internal=True))
    one = await world.sandbox("c1", endpoints=WEB, dns=("127.0.0.77",))
    assert await ask(one, "example.org") == (dns.SERVFAIL, [])
    assert await ask(one, "name-c1") == (dns.NOERROR, [address_of(one, "web")])


@pytest.mark.usefixtures("service")
async def test_nonsense_is_answered_as_such_and_harms_nobody(world: NetworkWorld) -> None:
    [one] = await make(world, "c1")
    loop = asyncio.get_running_loop()
    with socket_in(one.path, socket.SOCK_DGRAM) as client:
        client.connect(("127.0.0.11", 53))
        await loop.sock_sendall(client, b"x")
        await loop.sock_sendall(client, b"\0" * 12)
        assert (await loop.sock_recv(client, 100))[3] & 15 == dns.FORMERR
    assert (await ask(one, "name-c1"))[0] == dns.NOERROR
