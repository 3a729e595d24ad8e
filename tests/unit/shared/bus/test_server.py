"""Serving a contract: what is checked at the start, and what happens to requests that come again."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from shared.bus import Delivery, MemoryBroker, wire
from shared.bus import bus as bus_module
from shared.bus.server import Server, bind
from shared.contracts.base import Contract, Empty, Endpoint
from shared.errors import PermissionDenied, Unavailable
from shared.testing import kernel, serving
from tests.support.echo import ANY, CONTRACT, ECHO, WAIT, EchoService, Text


class Asker:
    """Sends requests as a foreign client does, byte by byte."""

    def __init__(self, transport) -> None:
        self.transport = transport
        self.answers: asyncio.Queue[Delivery] = asyncio.Queue()

    async def open(self) -> None:
        await self.transport.subscribe("asker.*", self.answers.put_nowait)

    async def ask(self, endpoint: Endpoint, headers: dict[str, str], payload: bytes = b"{}", reply: str = "asker.1"):
        await self.transport.publish(endpoint.subject("node1" if endpoint.host_bound else ""), payload, headers, reply)


@pytest.fixture
async def world(directory):
    broker = MemoryBroker()
    async with kernel("echo", directory, broker) as made:
        service = EchoService(made)
        async with serving(made, CONTRACT, service) as server:
            asker = Asker(broker.connect())
            await asker.open()
            yield asker, service, server


async def test_a_request_that_comes_again_is_done_once_and_answered_again_when_it_was_done(world):
    asker, service, _ = world
    for _ in range(2):
        await asker.ask(WAIT, {wire.REQUEST_ID: "r1"}, b'{"count":5}')
    await service.waiting.wait()
    service.release.set()
    assert (await asker.answers.get()).payload == b'{"count":5}'
    await asker.ask(WAIT, {wire.REQUEST_ID: "r1"})
    assert (await asker.answers.get()).payload == b'{"count":5}'
    assert service.begun == 1


async def test_an_idempotent_request_that_comes_again_later_is_done_again(world):
    asker, service, _ = world
    for _ in range(2):
        await asker.ask(ECHO, {wire.REQUEST_ID: "r1"})
        await asker.answers.get()
    assert service.begun == 2


async def test_requests_without_an_id_are_all_done(world):
    asker, service, _ = world
    for _ in range(2):
        await asker.ask(ECHO, {})
        await asker.answers.get()
    assert service.begun == 2


async def test_what_a_predecessor_may_have_done_is_refused_unless_it_is_idempotent(world):
    asker, service, _ = world
    service.release.set()
    await asker.ask(WAIT, {wire.REQUEST_ID: "r1", wire.AGE: "60000"})
    answer = await asker.answers.get()
    assert answer.headers[wire.ERROR_CODE] == "503"
    assert b"restarted during the call" in answer.payload
    await asker.ask(ECHO, {wire.REQUEST_ID: "r2", wire.AGE: "60000"})
    assert wire.ERROR_CODE not in (await asker.answers.get()).headers
    await asker.ask(WAIT, {wire.REQUEST_ID: "r3", wire.AGE: "0"})
    assert wire.ERROR_CODE not in (await asker.answers.get()).headers
    assert service.begun == 2


async def test_what_this_instance_knows_is_answered_whatever_its_age(world):
    asker, service, _ = world
    service.release.set()
    await asker.ask(WAIT, {wire.REQUEST_ID: "r1"})
    await asker.answers.get()
    await asker.ask(WAIT, {wire.REQUEST_ID: "r1", wire.AGE: "60000"})
    assert wire.ERROR_CODE not in (await asker.answers.get()).headers
    assert service.begun == 1


@pytest.mark.parametrize("header", [wire.AGE, wire.TIMEOUT])
@pytest.mark.parametrize("value", ["", "-1", "soon", "1.5", "²"])
async def test_headers_that_make_no_sense_are_ignored(world, header, value):
    asker, _, _ = world
    await asker.ask(ECHO, {header: value}, b'{"text":"x"}')
    assert (await asker.answers.get()).payload == b'{"text":"x"}'


async def test_the_deadline_of_the_caller_ends_the_work(world):
    asker, service, _ = world
    await asker.ask(WAIT, {wire.TIMEOUT: "20"})
    answer = await asker.answers.get()
    assert answer.headers[wire.ERROR_CODE] == "504"
    assert service.given_up.is_set()


async def test_who_wants_no_answer_gets_none(world):
    asker, service, _ = world
    await asker.ask(ECHO, {}, reply="")
    await asker.ask(ECHO, {})
    await asker.answers.get()
    assert service.begun == 2
    assert asker.answers.empty()


async def test_stopping_ends_the_requests_it_has_and_takes_no_more(directory):
    broker = MemoryBroker()
    async with kernel("echo", directory, broker) as made, kernel("user", directory / "user", broker) as user:
        service = EchoService(made)
        server = Server(made.bus, CONTRACT, service)
        await server.open()
        calling = asyncio.ensure_future(user.bus.call(WAIT, Text(count=1)))
        await service.waiting.wait()
        closing = asyncio.ensure_future(server.close(5.0))
        await asyncio.sleep(0.01)
        assert not closing.done()
        assert CONTRACT.endpoints[0].subject("node1") not in {one.subject for one in broker.subscriptions}
        service.release.set()
        assert await calling == Text(count=1)
        await closing


async def test_stopping_does_not_wait_for_ever_and_leaves_no_caller_waiting(directory, monkeypatch):
    monkeypatch.setattr(bus_module, "RESPONDER_WAIT", 0.05)
    broker = MemoryBroker()
    async with kernel("echo", directory, broker) as made, kernel("user", directory / "user", broker) as user:
        service = EchoService(made)
        server = Server(made.bus, CONTRACT, service)
        await server.open()
        calling = asyncio.ensure_future(user.bus.call(WAIT, Text()))
        await service.waiting.wait()
        await server.close(0.01)
        assert service.given_up.is_set()
        with pytest.raises(Unavailable):
            await calling


async def test_a_new_instance_answers_for_its_predecessor(nats):
    """A call that was under way: done again when that is harmless, else told at once."""
    kernel_made, user = await nats.kernel(), await nats.kernel()
    repeatable = Endpoint("echo.wait", Text, Text, idempotent=True, timeout=0)
    first, second = EchoService(kernel_made), EchoService(kernel_made)
    old = Server(kernel_made.bus, CONTRACT, first)
    await old.open()
    once, again = (asyncio.ensure_future(user.bus.call(WAIT, Text(count=n))) for n in (1, 2))
    for _ in range(2):
        await first.begins.get()
    await asyncio.sleep(0.1)  # the age of a request counts
    for subscription in old._subscriptions:  # it dies without a word
        await subscription.drain()
    old._tasks.cancel()
    new = Server(kernel_made.bus, CONTRACT, second)
    await new.open()
    for task in (once, again):
        with pytest.raises(Exception, match="restarted during the call"):
            await task
    assert second.begun == 0
    calling = asyncio.ensure_future(user.bus.call(repeatable, Text(count=3)))
    await second.begins.get()
    second.release.set()
    assert await calling == Text(count=3)
    await new.close(1.0)


async def test_a_server_that_may_not_hear_its_endpoints_does_not_start(nats):
    made = await nats.kernel("volume")
    server = Server(made.bus, CONTRACT, EchoService(made))
    with pytest.raises(PermissionDenied, match=r"shoal\.v1\.echo"):
        await server.open()


class Typed:
    async def echo(self, request: Text) -> Text:
        return request


def contract(*endpoints) -> Contract:
    return Contract("echo", "v1", "", endpoints=endpoints)


def test_methods_are_bound_by_the_name_of_the_operation():
    service = Typed()
    assert bind(contract(ECHO), service) == {"echo": service.echo}


@pytest.mark.parametrize(
    "endpoint",
    [ANY, Endpoint("echo.echo", Text, Empty), Endpoint("echo.echo", Empty, Text)],
    ids=["missing", "reply", "request"],
)
def test_a_method_that_is_missing_or_typed_differently_is_refused(endpoint):
    with pytest.raises(TypeError, match=r"Typed"):
        bind(contract(endpoint), Typed())


async def test_methods_with_more_parameters_or_none_are_refused():
    class More:
        async def echo(self, request: Text, other: int) -> Text:
            return request

    class Untyped:
        async def echo(self, request):
            return request

    for implementation in (More(), Untyped()):
        with pytest.raises(TypeError):
            bind(contract(ECHO), implementation)


async def test_the_new_instance_is_announced_before_it_serves(directory):
    broker = MemoryBroker()
    order: list[Delivery] = []
    await broker.connect().subscribe("shoal.v1.signals.*.started", order.append)
    async with kernel("echo", directory, broker) as made:
        server = Server(made.bus, CONTRACT, EchoService(made))
        await server.open()
        await server.close(1.0)
    started = msgspec.json.decode(order[0].payload)
    assert started == {"service": "echo", "node": "node1", "instance": server.instance}
