"""Each service's permissions against a server that enforces them: what is declared works, all else is refused."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import pytest

from shared.bus import NatsTransport
from shared.bus.transport import matches
from shared.contracts import CONTRACTS
from shared.contracts.base import BUCKET
from shared.contracts.permissions import STREAMS, permissions
from shared.errors import PermissionDenied
from shared.state.streams import EVENTS, SPANS
from shared.state.streams import STREAMS as CONFIGURATIONS

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
            assert await client.may_hear(endpoint.subject(NODE)) == (other.name == name), endpoint.name


@every_service
async def test_records_of_others_cannot_be_written_and_only_declared_ones_read(client, request):
    own = CONTRACTS[request.node.callspec.params["client"]]
    for other in CONTRACTS.values():
        for keys in other.owns:
            key = concrete(keys.pattern)
            assert await client.may_publish(f"$KV.{BUCKET}.{key}") == (other.name == own.name), key
            readable = other.name == own.name or any(matches(p.replace("*", ">"), key) for p in own.reads)
            assert await client.may_publish(f"$JS.API.DIRECT.GET.KV_{BUCKET}.$KV.{BUCKET}.{key}") == readable, key


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
        assert await client.may_publish(f"shoal.v1.signals.{other.name}.started") == (other.name == own.name)


@every_service
async def test_streams_can_be_served_by_their_owner_and_taken_by_who_reaches_it(client, request):
    own = CONTRACTS[request.node.callspec.params["client"]]
    reached = {"gateway": set(NAMES) - {"gateway"}, "executor": set(NAMES) - {"gateway", "executor"}}
    for other in NAMES:
        stem = f"shoal.v1.streams.{other}.{FOREIGN_NODE}.0a1b"
        mine, takes = other == own.name, other in reached.get(own.name, set())
        assert (await client.may_publish(f"{stem}.out"), await client.may_hear(f"{stem}.in")) == (mine, mine)
        assert (await client.may_publish(f"{stem}.in"), await client.may_hear(f"{stem}.out")) == (takes, takes)
        assert (await client.may_publish(f"{stem}.ctl"), await client.may_hear(f"{stem}.ctl")) == (takes, mine)


def test_the_names_of_the_broker_streams_are_those_that_are_made():
    assert [config["name"] for config in CONFIGURATIONS] == list(STREAMS)
    assert {EVENTS, SPANS} < set(STREAMS)
