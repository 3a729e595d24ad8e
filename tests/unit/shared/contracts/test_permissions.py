"""Each service's permissions against a server that enforces them: what is declared works, all else is refused."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from shared.bus import Delivery, NatsTransport
from shared.bus.discovery import Discovery
from shared.bus.transport import matches
from shared.contracts import CONTRACTS
from shared.contracts.base import AGREED, Empty
from shared.contracts.common import NameRecord
from shared.contracts.executor import NAMES as NAMES_OF_CONTAINERS
from shared.contracts.permissions import STREAMS, permissions
from shared.contracts.volume import USAGE as VOLUME_USAGE
from shared.errors import PermissionDenied
from shared.state.replay import replay
from shared.state.streams import EVENTS, SPANS, ensure
from shared.state.streams import STREAMS as CONFIGURATIONS
from shared.tasks import TaskGroup
from shared.telemetry import SPANS_SUBJECT
from tests.support.streams import echo, read_all

NODE, FOREIGN_NODE = "node1", "node2"
NAMES = sorted(CONTRACTS)


def concrete(subject: str) -> str:
    """A subject that a pattern allows."""
    return ".".join("a1" if token in ("*", ">") else token for token in subject.split("."))


class Client:
    """A connection that knows what the broker refused."""

    def __init__(self, transport: NatsTransport) -> None:
        self.transport = transport
        self._refused: list[str] = []
        transport.on_refused(self._refused.append)

    async def may_publish(self, subject: str) -> bool:
        self._refused.clear()
        await self.transport.publish(subject, b"")
        await self.transport.flush()
        return subject.lower() not in self._refused

    async def may_hear(self, subject: str) -> bool:
        await self.transport.subscribe(subject, lambda delivery: None)
        try:
            await self.transport.flush()
        except PermissionDenied:
            return False
        return True


@pytest.fixture
async def client(request: pytest.FixtureRequest, broker) -> AsyncIterator[Client]:
    """Connected as the service that the test is parametrised with."""
    transport = await NatsTransport.connect(broker.url, request.param, broker.seed(request.param))
    yield Client(transport)
    await transport.close()


every_service = pytest.mark.parametrize("client", NAMES, indirect=True)


@pytest.mark.parametrize("name", NAMES)
def test_no_service_may_do_everything(name):
    granted = permissions(CONTRACTS[name], CONTRACTS)
    for way in ("publish", "subscribe"):
        assert not any(
            re.match(r"^([*>]|\$JS\.>|\$JS\.API\.>|shoal\.>|shoal\.v1\.>)", s) for s in granted[way]["allow"]
        )


@every_service
async def test_what_is_granted_is_granted(client, request):
    name = request.node.callspec.params["client"]
    granted = permissions(CONTRACTS[name], CONTRACTS)
    for subject in granted["publish"]["allow"]:
        assert await client.may_publish(concrete(subject)), subject
    for subject in granted["subscribe"]["allow"]:
        assert await client.may_hear(subject), subject


@every_service
async def test_undeclared_calls_are_refused(client, request):
    own = CONTRACTS[request.node.callspec.params["client"]]
    for other in CONTRACTS.values():
        for endpoint in other.endpoints:
            declared = {f"{other.name}.*", endpoint.name} & set(own.calls)
            for node in (NODE, FOREIGN_NODE):
                assert await client.may_publish(endpoint.subject(node)) == bool(declared), endpoint.name


@every_service
async def test_a_service_cannot_answer_for_another(client, request):
    name = request.node.callspec.params["client"]
    for other in CONTRACTS.values():
        for endpoint in other.endpoints:
            served = other.name in (name, *CONTRACTS[name].drivers)
            assert await client.may_hear(endpoint.subject(NODE)) == served, endpoint.name


@every_service
async def test_records_of_others_cannot_be_written_and_only_declared_ones_read(client, request):
    own = CONTRACTS[request.node.callspec.params["client"]]
    for other in CONTRACTS.values():
        for keys in other.owns:
            key = concrete(keys.pattern)
            bucket = keys.bucket
            assert await client.may_publish(f"$KV.{bucket}.{key}") == (other.name == own.name), key
            read = own.reads_agreed if bucket == AGREED else own.reads
            declared = any(matches(pattern.replace("*", ">"), key) for pattern in read)
            get = f"DIRECT.GET.KV_{bucket}.$KV.{bucket}.{key}"
            assert await client.may_publish(f"$JS.API.{get}") == (other.name == own.name or declared), key
            assert await client.may_publish(f"$JS.node2.API.{get}") == (declared and bucket != AGREED), key
            assert not await client.may_publish(f"$JS.node2.API.$KV.{bucket}.{key}"), key


@every_service
async def test_streams_of_the_broker_cannot_be_destroyed_or_rewritten(client):
    for stream in STREAMS:
        for verb in ("DELETE", "PURGE", "UPDATE", "MSG.DELETE", "RESTORE"):
            assert not await client.may_publish(f"$JS.API.STREAM.{verb}.{stream}"), verb


@every_service
async def test_inboxes_of_others_are_closed(client, request):
    name = request.node.callspec.params["client"]
    for other in NAMES:
        if other != name:
            assert not await client.may_hear(f"_INBOX_{other}.>")
            assert not await client.may_publish(f"_INBOX_{other}.x.1")
    assert not await client.may_hear("_INBOX.>")


@every_service
async def test_events_can_be_told_by_their_owner_only(client, request):
    own = CONTRACTS[request.node.callspec.params["client"]]
    for other in CONTRACTS.values():
        for event in other.events:
            subject = f"{event.subject}.start" if event.kept else event.subject
            assert await client.may_publish(subject) == (other.name == own.name), subject
        served = other.name in (own.name, *own.drivers)
        assert await client.may_publish(f"shoal.v1.signals.{other.name}.started") == served


@every_service
async def test_streams_can_be_served_by_their_owner_and_taken_by_who_reaches_it(client, request):
    own = CONTRACTS[request.node.callspec.params["client"]]
    called = {"image_store", "platform", "migration_driver", "network", "network_driver", "volume"}
    reached = {
        "gateway": set(NAMES) - {"gateway"},
        "executor": called,
        "builder": called | {"executor", "scheduler"},
        "scheduler": called | {"executor"},
        "image_store": {"image_store"},  # of other hosts
        "volume": {"volume"},
        "platform": {"platform"},
        "migration_driver": {"platform"},
        "migrator": called | {"executor", "scheduler"},
        "network": {"network_driver"},
    }
    for other in NAMES:
        stem = f"shoal.v1.streams.{other}.{FOREIGN_NODE}.0a1b"
        mine, takes = other == own.name, other in reached.get(own.name, set())
        assert (await client.may_publish(f"{stem}.out"), await client.may_hear(f"{stem}.in")) == (mine, mine)
        assert (await client.may_publish(f"{stem}.in"), await client.may_hear(f"{stem}.out")) == (takes, takes)
        assert (await client.may_publish(f"{stem}.ctl"), await client.may_hear(f"{stem}.ctl")) == (takes, mine)


def test_the_names_of_the_broker_streams_are_those_that_are_made():
    assert [config["name"] for config in CONFIGURATIONS] == list(STREAMS)
    assert {EVENTS, SPANS} < set(STREAMS)


@every_service
async def test_what_a_kernel_does_is_granted(client, request, nats):
    """Streams made, spans sent, past events read, own records written and watched, discovery answered."""
    own = CONTRACTS[request.node.callspec.params["client"]]
    bus = await nats.bus(own.name)
    await ensure(bus)
    await bus.transport.publish(SPANS_SUBJECT, b"[]")
    state = await nats.state(bus)
    for keys in own.owns:
        parts = ["a1"] * keys.pattern.count("*")
        sample = replace(keys, record=Empty)
        revision = await state.create(sample, *parts, value=Empty())
        revision = await state.update(sample, *parts, value=Empty(), revision=revision)
        view = await state.view(sample)
        assert view.count(sample) == 1
        await view.reached(await state.delete(sample, *parts, revision=revision))
        assert await state.get(sample, *parts) is None
    if "events.*" in own.hears:
        assert [one async for one in replay(bus, EVENTS, "shoal.v1.events.>")] == []
    discovery = Discovery(bus.transport, own, "instance1", NODE)
    await discovery.open()
    await bus.transport.flush()
    tool = await nats.bus("tool")
    for subject in ("$SRV.PING", f"$SRV.INFO.{own.name}", f"shoal.v1.{own.name}.contract"):
        assert (await tool.request_raw(subject, b"")).payload


async def test_the_gateway_watches_what_it_reads(nats):
    writer, gateway = await nats.bus("executor"), await nats.bus("gateway")
    names = NAMES_OF_CONTAINERS
    view = await (await nats.state(gateway)).view(names)
    revision = await (await nats.state(writer)).create(names, "web", value=NameRecord(id="1"))
    await view.reached(revision)
    assert view.count(names) == 1


@every_service
async def test_who_hears_of_events_may_ask_other_hosts_for_past_ones(client, request):
    own = CONTRACTS[request.node.callspec.params["client"]]
    asked = await client.may_publish(f"$JS.{FOREIGN_NODE}.API.DIRECT.GET.{EVENTS}")
    assert asked == ("events.*" in own.hears)


async def test_calls_and_streams_work_across_hosts_as_far_as_declared(nats):
    """The gateway on one node takes a stream that a service on another offers, over the bus."""
    server, gateway = await nats.kernel("volume", "node2"), await nats.kernel("gateway")
    channel = await gateway.streams.take(server.streams.offer(echo))
    await channel.write(b"across" * 100_000)
    await channel.write_eof()
    assert await read_all(channel) == b"across" * 100_000
    channel.close()


async def test_an_answer_is_given_over_a_change_of_the_brokers_configuration(nats, broker):
    """The broker forgets then who may be answered."""
    server, user = await nats.bus("volume"), await nats.bus("tool")
    came, go_on = asyncio.Event(), asyncio.Event()
    answered: list[str] = []

    async def answer(delivery: Delivery) -> None:
        came.set()
        await go_on.wait()
        answered.append(delivery.headers["Shoal-Request-Id"])
        await server.transport.publish(delivery.reply, b'{"rows":[]}')

    tasks = TaskGroup("answers")
    await server.transport.subscribe(VOLUME_USAGE.subject(NODE), lambda delivery: tasks.start(answer(delivery)))
    await server.transport.flush()
    calling = asyncio.ensure_future(user.call(VOLUME_USAGE, Empty(), node=NODE))
    await came.wait()
    await broker.reload()
    go_on.set()
    await calling
    assert len(answered) == 2
    assert len(set(answered)) == 1


async def test_many_answers_do_not_use_up_the_permission_to_answer(nats):
    """More than the broker remembers at once; each request may be answered once."""
    server, user = await nats.bus("volume"), await nats.bus("tool")
    subject = VOLUME_USAGE.subject(NODE)

    def answer(delivery: Delivery) -> None:
        tasks.start(server.transport.publish(delivery.reply, b"{}"))

    tasks = TaskGroup("answers")
    refused: list[str] = []
    server.transport.on_refused(refused.append)
    await server.transport.subscribe(subject, answer)
    await server.transport.flush()
    for _ in range(20):
        await asyncio.gather(*(user.request_raw(subject, b"") for _ in range(300)))
    assert refused == []
