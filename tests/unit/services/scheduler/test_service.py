"""The scheduler of a hub, on a real broker that stands for the hubs' as well."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from services.scheduler.service import SchedulerService
from shared import cluster, ids, pki
from shared.bus import Bus, NatsTransport
from shared.bus.server import Server
from shared.cluster import HUB_DOMAIN, Member, Membership
from shared.config import Settings
from shared.contracts import platform
from shared.contracts.base import Empty
from shared.contracts.scheduler import (
    CONTRACT,
    HUBS,
    NODES,
    TOKENS,
    AuthorityRequest,
    HubsRecord,
    JoinReply,
    JoinRequest,
    RemoveNodeRequest,
    RenewRequest,
    TokenRequest,
)
from shared.errors import AlreadyExists, FailedPrecondition, InvalidArgument, PermissionDenied, Unauthenticated
from shared.joining import Token, digest
from shared.service import Kernel
from shared.state import NatsState
from shared.state.streams import ensure
from shared.streams import Streams
from tests.support.broker import Broker
from tests.support.certified import certify
from tests.support.gateways import as_far_as
from tests.support.ports import free_port
from tests.support.simulators.platform_host import PlatformHostSimulator
from tests.support.waiting import until

NEWCOMER = "b" * 25
LINK = "U" + "A" * 55


class Hub(Broker):
    """A broker in the hubs' domain."""

    def _write(self) -> Path:
        path = super()._write()
        made = msgspec.json.decode(path.read_bytes())
        made["jetstream"]["domain"] = HUB_DOMAIN
        path.write_bytes(msgspec.json.encode(made))
        return path


@pytest.fixture
async def kernel(directory: Path) -> AsyncIterator[Kernel]:
    hub = Hub(directory).start()
    settings = Settings(state_dir=str(directory / "s"), run_dir=str(directory), node_name="node1")
    certify(cluster.folder(settings.state_path))
    place = f"127.0.0.1:{free_port()}"
    cluster.save(settings.state_path, Membership(cluster="c1", address=place, hubs=(place,), hub="hub-1"))
    own = ids.node_id(directory)
    cluster.save_members(settings.state_path, [Member(id=own, link=LINK, pin="", hub=True)])
    bus = Bus(
        await NatsTransport.connect(hub.url, "scheduler", hub.seed("scheduler")), ids.node_id(directory), "scheduler"
    )
    await bus.open()
    streams = Streams(bus, directory / "streams", "scheduler", directory)
    neighbour = Bus(await NatsTransport.connect(hub.url, "platform", hub.seed("platform")), bus.node, "platform")
    await neighbour.open()
    await ensure(bus)
    platforms = Server(neighbour, as_far_as(platform.CONTRACT, PlatformHostSimulator()), PlatformHostSimulator())
    await platforms.open()
    yield Kernel(settings, bus.node, bus, NatsState(bus, HUB_DOMAIN), streams)
    await platforms.close(1)
    await neighbour.close()
    await bus.close()
    hub.close()


@pytest.fixture
async def scheduler(kernel: Kernel) -> AsyncIterator[SchedulerService]:
    made = SchedulerService(kernel)
    await made.open()
    server = Server(kernel.bus, CONTRACT, made)
    await server.open()
    yield made
    await made.close()
    await server.close(1)


def asked(secret: str, node: str = NEWCOMER, name: str = "node2") -> JoinRequest:
    request = pki.request(pki.new_key()).decode()
    return JoinRequest(secret=secret, node=node, name=name, address="198.18.0.2:7377", request=request, link=LINK)


async def secret_of(scheduler: SchedulerService, once: bool = True) -> str:
    return Token.parse((await scheduler.token(TokenRequest(once=once))).token).secret


async def test_a_host_is_in_its_own_cluster_and_ready(kernel, scheduler):
    (node,) = (await scheduler.nodes(Empty())).nodes
    assert (node.record.id, node.record.name, node.record.role, node.ready) == (kernel.node, "node1", "hub", True)
    assert node.record.memory > 0
    assert node.record.cpus >= 1_000_000_000


async def test_a_token_lets_one_host_in(kernel, scheduler):
    secret = await secret_of(scheduler)
    reply = await scheduler._admit(asked(secret))
    assert pki.node_of(reply.certificate.encode()) == NEWCOMER
    assert reply.cluster == "c1"
    with pytest.raises(Unauthenticated):
        await scheduler._admit(asked(secret))
    assert await kernel.state.get(TOKENS, digest(secret)) is None


async def test_of_two_with_one_token_one_is_let_in(kernel, scheduler):
    secret = await secret_of(scheduler)
    both = (asked(secret), asked(secret, "c" * 25, "node3"))
    answers = await asyncio.gather(*map(scheduler._admit, both), return_exceptions=True)
    assert sorted(type(answer).__name__ for answer in answers) == ["JoinReply", "Unauthenticated"]
    present = [await kernel.state.get(NODES, request.node) for request in both]
    assert [node is not None for node in present] == [isinstance(answer, JoinReply) for answer in answers]


async def test_nobody_takes_the_place_of_a_host_that_is_there(kernel, scheduler):
    with pytest.raises(AlreadyExists, match="and is there"):
        await scheduler._admit(asked(await secret_of(scheduler), kernel.node))


async def test_the_authoritys_key_is_for_hosts_that_are_to_be_hubs(kernel, scheduler):
    key = pki.new_key()
    request = pki.request(key)
    secret = await secret_of(scheduler)
    await scheduler._admit(msgspec.structs.replace(asked(secret), request=request.decode()))
    with pytest.raises(PermissionDenied):
        await scheduler.authority(AuthorityRequest(node=NEWCOMER, request=request.decode()))
    present = await kernel.state.get(HUBS, "all")
    chosen = HubsRecord(hubs=present.value.hubs | {NEWCOMER: "hub-2"})
    await kernel.state.update(HUBS, "all", value=chosen, revision=present.revision)
    sealed = (await scheduler.authority(AuthorityRequest(node=NEWCOMER, request=request.decode()))).sealed
    assert pki.unseal(sealed, key) == (cluster.folder(kernel.settings.state_path) / "ca.key").read_bytes()
    other = pki.request(pki.new_key()).decode()
    with pytest.raises(PermissionDenied):
        await scheduler.authority(AuthorityRequest(node=NEWCOMER, request=other))


async def test_a_certificate_is_renewed_for_the_key_that_the_host_is_known_by(scheduler):
    key = pki.new_key()
    request = pki.request(key).decode()
    await scheduler._admit(msgspec.structs.replace(asked(await secret_of(scheduler)), request=request))
    renewed = (await scheduler.renew(RenewRequest(node=NEWCOMER, request=request))).certificate
    assert pki.node_of(renewed.encode()) == NEWCOMER
    other = pki.request(pki.new_key()).decode()
    for node in (NEWCOMER, "c" * 25):
        with pytest.raises(PermissionDenied):
            await scheduler.renew(RenewRequest(node=node, request=other))


async def test_of_the_hosts_that_are_asked_for_at_the_door(scheduler):
    assert (await scheduler._admit(JoinRequest(node=NEWCOMER))).removed
    await scheduler._admit(asked(await secret_of(scheduler)))
    assert not (await scheduler._admit(JoinRequest(node=NEWCOMER))).removed


async def test_a_host_that_is_not_drained_is_not_removed(kernel, scheduler):
    await until(lambda: bool(scheduler._records()))
    with pytest.raises(FailedPrecondition, match="is not drained"):
        await scheduler.remove(RemoveNodeRequest(node="node1"))
    assert await kernel.state.get(NODES, kernel.node) is not None


async def test_a_host_whose_hub_nobody_takes_over_stays_as_it_was(kernel, scheduler, monkeypatch):
    await scheduler._admit(asked(await secret_of(scheduler)))
    await until(lambda: len(scheduler._records()) == 2)
    before = await kernel.state.get(NODES, kernel.node)
    monkeypatch.setattr("services.scheduler.adapters.hubs.HAND_OVER_SECONDS", 0.01)
    with pytest.raises(FailedPrecondition, match="no other hub has yet"):
        await scheduler.remove(RemoveNodeRequest(node="node1", force=True))
    assert (await kernel.state.get(NODES, kernel.node)).value == before.value


async def test_a_token_for_many(scheduler):
    secret = await secret_of(scheduler, once=False)
    assert (await scheduler._admit(asked(secret))).certificate
    assert (await scheduler._admit(asked(secret, "c" * 25, "node3"))).certificate


async def test_who_is_refused_uses_no_token_up(scheduler):
    secret = await secret_of(scheduler)
    with pytest.raises(AlreadyExists):
        await scheduler._admit(asked(secret, name="node1"))
    with pytest.raises(Unauthenticated):
        await scheduler._admit(asked("another"))
    assert (await scheduler._admit(asked(secret))).certificate


async def test_what_is_wrong_is_refused(kernel, scheduler):
    with pytest.raises(InvalidArgument, match="seconds"):
        await scheduler.token(TokenRequest(seconds=0))
    cluster.forget(kernel.settings.state_path)
    with pytest.raises(FailedPrecondition, match="in no cluster"):
        await scheduler.token(TokenRequest())
