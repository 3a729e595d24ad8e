"""Keys between hosts: agreed on, replaced, gone. Hosts of one process, with keyrings that only remember."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from services.network import protection
from services.network.protection import Identity, Protection
from shared import clock, cluster, pki
from shared.contracts.network import AgreeReply, AgreeRequest
from shared.errors import FailedPrecondition, Unauthenticated, Unavailable
from shared.tasks import TaskGroup

AUTHORITY = pki.authority("test", clock.now_ns())
ADDRESSES = {"a": "10.0.0.1", "b": "10.0.0.2", "c": "10.0.0.3"}


class Keyring:
    def __init__(self) -> None:
        self.means = "tunnel"
        self.whole, self.kept, self.broken = True, False, False
        self.lost: Any = None
        self.worn: Any = None
        self.opened = self.ended = 0
        self.inbound: dict[str, list[tuple[int, bytes]]] = {}
        self.outbound: dict[str, list[tuple[int, bytes, bool]]] = {}
        self.changed = asyncio.Condition()

    async def open(self) -> bool:
        if self.broken:
            raise FailedPrecondition("no tunnel here")
        self.opened += 1
        return self.kept

    async def end(self) -> None:
        self.opened = 0
        self.ended += 1

    def close(self) -> None:
        pass

    async def receive(self, peer: str, spi: int, material: bytes) -> None:
        self.inbound.setdefault(peer, []).append((spi, material))

    async def send(self, peer: str, spi: int, material: bytes, *, whole: bool) -> None:
        async with self.changed:
            self.outbound.setdefault(peer, []).append((spi, material, whole))
            self.changed.notify_all()

    async def forget(self, peer: str) -> None:
        async with self.changed:
            self.outbound.pop(peer, None)
            self.changed.notify_all()

    async def until(self, true) -> None:
        async with self.changed:
            await asyncio.wait_for(self.changed.wait_for(true), 20)


class Host:
    def __init__(self, node: str, world: World, folder: Path) -> None:
        self.node, self.keyring, self.tasks, self.asked = node, Keyring(), TaskGroup(node), 0
        key = pki.new_key()
        certificate = pki.issue(AUTHORITY, pki.request(key), node, "10.0.0.1", clock.now_ns())
        self.identity = Identity(certificate, key, AUTHORITY.certificate)
        self.world = world
        self.protection = Protection(
            node,
            lambda: self.keyring,
            lambda: self.identity,
            lambda: world.addresses,
            self.ask,
            self.tasks,
            folder / node,
        )

    async def ask(self, node: str, request: AgreeRequest) -> AgreeReply:
        self.asked += 1
        if node in self.world.away:
            self.world.tries.release()
            raise Unavailable("away")
        return await self.world.hosts[node].protection.agree(request)


class World:
    def __init__(self, folder: Path) -> None:
        self.addresses, self.away = dict(ADDRESSES), set[str]()
        self.tries = asyncio.Semaphore(0)
        self.hosts = {node: Host(node, self, folder) for node in ADDRESSES}


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = World(tmp_path)
    yield made
    for host in made.hosts.values():
        host.protection.close()
        await host.tasks.close()


async def pair(world: World) -> tuple[Host, Host]:
    a, b = world.hosts["a"], world.hosts["b"]
    a.protection.peers({ADDRESSES["b"]})
    b.protection.peers({ADDRESSES["a"]})
    await asyncio.wait_for(asyncio.gather(a.protection.agreed("10.0.0.2"), b.protection.agreed("10.0.0.1")), 20)
    await settled(a, b)
    return a, b


async def settled(*hosts: Host) -> None:
    """No agreement is under way."""
    before = -1
    while before != (before := sum(host.asked for host in hosts)):
        for _ in range(50):
            await asyncio.sleep(0)


async def test_each_direction_has_keys_of_its_own(world: World) -> None:
    a, b = await pair(world)
    spi, material, whole = a.keyring.outbound["10.0.0.2"][-1]
    assert (spi, material) in b.keyring.inbound["10.0.0.1"]
    assert whole
    back = b.keyring.outbound["10.0.0.1"][-1]
    assert (back[0], back[1]) in a.keyring.inbound["10.0.0.2"]
    assert back[1] != material


async def test_what_a_service_left_that_was_ended_too_soon_is_swept(world: World, tmp_path: Path) -> None:
    a, _ = await pair(world)
    await a.protection.sweep()
    assert a.keyring.opened == 1, "not while it is in use"
    a.protection.close()
    after = Host("a", world, tmp_path)
    await after.protection.sweep()
    assert after.keyring.opened == 0
    assert after.keyring.ended == 1
    await after.protection.sweep()
    assert after.keyring.ended == 1, "nothing is there any more"
    after.keyring.broken = True
    (tmp_path / "a").touch()
    await after.protection.sweep()
    assert (tmp_path / "a").exists(), "tried again at the next start"


async def test_hosts_that_both_begin_come_to_rest(world: World) -> None:
    a, b = await pair(world)
    assert a.asked + b.asked <= 6


async def test_replaced_by_time(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protection, "LIFETIME", 0.02)
    a, _ = await pair(world)
    await a.keyring.until(lambda: len(a.keyring.outbound["10.0.0.2"]) >= 4)
    assert len({material for _, material, _ in a.keyring.outbound["10.0.0.2"]}) >= 4


async def test_replaced_when_worn_or_asked_for(world: World) -> None:
    a, b = await pair(world)
    before = len(a.keyring.outbound["10.0.0.2"])
    a.keyring.worn("10.0.0.2")
    await a.keyring.until(lambda: len(a.keyring.outbound["10.0.0.2"]) == before + 1)
    a.protection.renew()
    await a.keyring.until(lambda: len(a.keyring.outbound["10.0.0.2"]) == before + 2)
    a.keyring.worn("10.0.0.9")
    assert len(b.keyring.outbound["10.0.0.1"]) <= 3, "the other direction keeps its keys"


async def test_after_a_loss_both_directions_are_agreed_on_again(world: World) -> None:
    a, b = await pair(world)
    there, back = len(a.keyring.outbound["10.0.0.2"]), len(b.keyring.outbound["10.0.0.1"])
    a.keyring.lost()
    await b.keyring.until(lambda: len(b.keyring.outbound["10.0.0.1"]) > back)
    await a.keyring.until(lambda: len(a.keyring.outbound["10.0.0.2"]) > there)
    assert a.keyring.opened == 2
    await settled(a, b)
    assert len(b.keyring.outbound["10.0.0.1"]) <= back + 2


async def test_keys_that_were_kept_are_not_asked_of_others_again(world: World) -> None:
    world.hosts["a"].keyring.kept = True
    a, b = world.hosts["a"], world.hosts["b"]
    b.keyring.kept = True
    await b.protection.open()
    a.protection.peers({"10.0.0.2"})
    await asyncio.wait_for(a.protection.agreed("10.0.0.2"), 20)
    await settled(a, b)
    assert (a.asked, b.asked) == (1, 0)


async def test_after_the_last_network_nothing_is_agreed_on(world: World) -> None:
    a, b = await pair(world)
    await b.protection.end()
    assert b.keyring.opened == 0
    with pytest.raises(FailedPrecondition, match="no encrypted network"):
        await b.protection.agree(await asked_by(a, "b"))
    await b.protection.end()
    await b.protection.open()
    assert b.keyring.opened == 1


async def test_a_peer_that_is_away_is_asked_until_it_answers(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protection, "RETRY", 0.01)
    world.away.add("b")
    await world.hosts["b"].protection.open()
    a = world.hosts["a"]
    a.protection.peers({"10.0.0.2"})
    await asyncio.wait_for(world.tries.acquire(), 20)
    await asyncio.wait_for(world.tries.acquire(), 20)
    world.away.clear()
    await asyncio.wait_for(a.protection.agreed("10.0.0.2"), 20)
    assert len(a.keyring.outbound["10.0.0.2"]) == 1


async def test_a_peer_that_is_none_any_more_is_forgotten(world: World) -> None:
    a, _ = await pair(world)
    a.protection.peers(set())
    await a.keyring.until(lambda: not a.keyring.outbound)
    a.keyring.worn("10.0.0.2")
    await settled(a)
    assert not a.keyring.outbound


async def test_a_host_that_was_removed_gets_no_keys(world: World) -> None:
    del world.addresses["b"]
    with pytest.raises(Unauthenticated):
        await world.hosts["a"].protection.agree(await asked_by(world.hosts["b"]))


async def asked_by(host: Host, peer: str = "a") -> AgreeRequest:
    caught: list[AgreeRequest] = []

    async def ask(node: str, request: AgreeRequest) -> AgreeReply:
        caught.append(request)
        raise Unavailable("away")

    await host.protection.open()
    before, host.protection._ask = host.protection._ask, ask
    known, host.protection._hosts = host.protection._hosts, lambda: ADDRESSES
    with pytest.raises(Unavailable):
        await host.protection._agree_with(ADDRESSES[peer], False)
    host.protection._ask, host.protection._hosts = before, known
    return caught[0]


@pytest.mark.parametrize(
    "change", [{"node": "c"}, {"public": b"\2" * 32}, {"again": True}, {"means": "esp"}, {"signature": b"x"}]
)
async def test_nobody_speaks_for_another(world: World, change: dict[str, Any]) -> None:
    request = await asked_by(world.hosts["b"])
    await world.hosts["a"].protection.open()
    with pytest.raises(Unauthenticated):
        await world.hosts["a"].protection.agree(_with(request, change))
    assert (await world.hosts["a"].protection.agree(request)).spi >= 256


def _with(request, change: dict[str, Any]):
    return msgspec.structs.replace(request, **change)


async def test_an_answer_that_is_not_the_peers_is_not_believed(world: World) -> None:
    a = world.hosts["a"]

    async def by_another(node: str, request: AgreeRequest) -> AgreeReply:
        return msgspec.structs.replace(await world.hosts["b"].protection.agree(request), spi=999)

    a.protection._ask = by_another
    for host in (a, world.hosts["b"]):
        await host.protection.open()
    with pytest.raises(Unauthenticated):
        await a.protection._agree_with("10.0.0.2", False)
    assert not a.keyring.outbound


async def test_both_encrypt_by_the_same_means(world: World) -> None:
    world.hosts["b"].keyring.means = "esp"
    await world.hosts["b"].protection.open()
    await world.hosts["a"].protection.open()
    with pytest.raises(FailedPrecondition, match="this host encrypts by esp, the other by tunnel"):
        await world.hosts["b"].protection.agree(await asked_by(world.hosts["a"], "b"))


async def test_a_host_without_the_means_says_so(world: World) -> None:
    world.hosts["b"].keyring.broken = True
    with pytest.raises(FailedPrecondition, match="no tunnel here"):
        await world.hosts["b"].protection.open()


def test_the_identity_is_that_of_the_host(tmp_path: Path) -> None:
    with pytest.raises(FailedPrecondition):
        Identity.of(tmp_path)
    for name in ("node.crt", "node.key", "ca.crt"):
        cluster.write(cluster.folder(tmp_path) / name, name.encode())
    assert dataclasses.astuple(Identity.of(tmp_path)) == (b"node.crt", b"node.key", b"ca.crt")
