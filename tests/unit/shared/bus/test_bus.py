"""One suite for calls, events and signals in both worlds."""

from __future__ import annotations

import asyncio

import pytest

from shared import deadline, telemetry
from shared.bus import bus as module
from shared.contracts.base import Empty, Endpoint
from shared.errors import KINDS, DeadlineExceeded, Internal, InvalidArgument, ResourceExhausted, Unavailable
from shared.testing import serving
from tests.support.echo import ANY, CONTRACT, ECHO, FAIL, HINT, SAID, WAIT, EchoService, Text
from tests.support.waiting import until


@pytest.fixture
async def server(world):
    """The service's kernel, implementation and server, on node1."""
    kernel = await world.kernel()
    service = EchoService(kernel)
    async with serving(kernel, CONTRACT, service):
        yield service


@pytest.fixture
async def bus(world, server):
    return await world.bus()


async def test_a_reply_comes_back(bus):
    assert await bus.call(ECHO, Text(text="hello ü", count=3)) == Text(text="hello ü", count=3)


@pytest.mark.parametrize("kind", sorted(KINDS))
async def test_every_kind_of_error_crosses_the_bus(bus, kind):
    with pytest.raises(KINDS[kind]) as caught:
        await bus.call(FAIL, Text(text=kind))
    assert type(caught.value) is KINDS[kind]
    assert (caught.value.message, caught.value.details) == (f"failed with {kind}", {"field": "text"})


async def test_a_defect_becomes_an_error_id_and_no_trace(bus, caplog):
    with pytest.raises(Internal) as caught:
        await bus.call(FAIL, Text(text="no such kind"))
    error_id = caught.value.message.split()[2].rstrip(";")
    assert "KeyError" not in caught.value.message
    assert error_id in caplog.text
    assert "KeyError" in caplog.text


async def test_a_field_of_a_wrong_type_is_named(world, bus):
    reply = await bus.request_raw(ECHO.subject("node1"), b'{"count":"many"}')
    assert reply.headers["Nats-Service-Error-Code"] == "400"
    assert b"$.count" in reply.payload
    for payload in (b"\xff", b"[" * 100_000, b"null", b"{"):
        reply = await bus.request_raw(ECHO.subject("node1"), payload)
        assert reply.headers["Nats-Service-Error-Code"] == "400"


async def test_nobody_serves_is_unavailable_after_a_while(bus, monkeypatch):
    monkeypatch.setattr(module, "RESPONDER_WAIT", 0.05)
    with pytest.raises(Unavailable, match="shoal status"):
        await bus.call(ECHO, Text(), node="node2")
    monkeypatch.setattr(module, "RESPONDER_WAIT", 0.0)
    with pytest.raises(Unavailable, match="elsewhere"):
        await bus.call(Endpoint("elsewhere.x", Empty, Empty), Empty())


async def test_a_call_waits_for_a_server_that_is_about_to_come(world):
    bus = await world.bus()
    calling = asyncio.ensure_future(bus.call(ECHO, Text(text="early")))
    await asyncio.sleep(0.05)
    kernel = await world.kernel()
    async with serving(kernel, CONTRACT, EchoService(kernel)):
        assert await calling == Text(text="early")


async def test_a_call_waits_longer_for_a_server_that_is_started_for_it(world, monkeypatch):
    monkeypatch.setattr(module, "RESPONDER_WAIT", 0.0)
    bus, kernel, wanted = await world.bus(), await world.kernel(), asyncio.Event()

    def want(service: str) -> bool:
        assert service == "echo"
        wanted.set()
        return True

    with pytest.raises(Unavailable):
        await bus.call(ECHO, Text(), node="node1")
    bus.want = want
    with pytest.raises(Unavailable):
        await bus.call(ECHO, Text(), node="node2")
    assert not wanted.is_set(), "nobody here starts what belongs to another host"
    calling = asyncio.ensure_future(bus.call(ECHO, Text(text="wake up")))
    await wanted.wait()
    async with serving(kernel, CONTRACT, EchoService(kernel)):
        assert await calling == Text(text="wake up")


async def test_a_call_ends_with_its_deadline(bus, server):
    with pytest.raises(DeadlineExceeded, match=r"echo\.(node1\.)?wait"):
        await bus.call(WAIT, Text(), timeout=0.05)


async def test_the_nearest_deadline_counts_and_reaches_the_server(bus, server):
    with deadline.within(0.05), pytest.raises(DeadlineExceeded):
        await bus.call(WAIT, Text(), timeout=30)
    async with asyncio.timeout(60):
        await server.given_up.wait()


async def test_calls_are_served_at_once_not_one_after_the_other(bus, server):
    waiting = [asyncio.ensure_future(bus.call(WAIT, Text(count=n))) for n in range(50)]
    for _ in waiting:
        await server.begins.get()
    assert await bus.call(ECHO, Text(text="in between")) == Text(text="in between")
    server.release.set()
    assert [reply.count for reply in await asyncio.gather(*waiting)] == list(range(50))


async def test_a_host_bound_endpoint_is_served_by_its_node(world, server, bus):
    other = await world.kernel(node="node2")
    service = EchoService(other)
    async with serving(other, CONTRACT, service):
        await bus.call(ECHO, Text(), node="node2")
        await (await world.bus(node="node2")).call(ECHO, Text())
    assert (server.begun, service.begun) == (0, 2)


async def test_an_unbound_endpoint_is_served_once_by_anybody(world, server, bus):
    other = await world.kernel(node="node2")
    service = EchoService(other)
    async with serving(other, CONTRACT, service):
        nodes = {(await bus.call(ANY, Text())).text for _ in range(40)}
    assert nodes == {"node1", "node2"}
    assert server.begun + service.begun == 40
    assert {(await bus.call(ANY, Text())).text for _ in range(5)} == {"node1"}


async def test_events_and_signals_reach_all_who_listen(world, bus):
    heard: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
    for name in ("a", "b"):
        listener = await world.bus()

        async def hear(message: Text, name: str = name) -> None:
            heard.put_nowait((name, message.text))

        await listener.listen(SAID, hear)
        await listener.listen(HINT, hear)
        await listener.transport.flush()
    bus.emit(SAID, Text(text="event"), suffix="said: to all")
    bus.emit(HINT, Text(text="signal"))
    got = {await heard.get() for _ in range(4)}
    assert got == {("a", "event"), ("b", "event"), ("a", "signal"), ("b", "signal")}


async def test_who_is_asked_after_an_event_was_told_knows_it(world, bus):
    heard: list[str] = []
    other = await world.bus()

    async def hear(message: Text) -> None:
        heard.append(message.text)

    await other.listen(HINT, hear)
    await other.transport.flush()
    for number in range(50):
        await bus.tell(HINT, Text(text=str(number)))
        await other.transport.flush()  # it has come; its handler runs in a task of its own
        await until(lambda: len(heard) > number, seconds=1)  # noqa: B023  # waited for within the turn
    assert heard == [str(number) for number in range(50)]


async def test_a_listener_that_fails_hears_the_next_event(world, bus, caplog):
    heard: asyncio.Queue[str] = asyncio.Queue()

    async def hear(message: Text) -> None:
        if message.text == "bad":
            raise InvalidArgument("cannot stand this")
        heard.put_nowait(message.text)

    listener = await world.bus()
    await listener.listen(HINT, hear)
    await listener.transport.flush()
    bus.emit(HINT, Text(text="bad"))
    await bus.transport.publish(HINT.subject, b"{")
    bus.emit(HINT, Text(text="good"))
    assert await heard.get() == "good"
    assert "cannot stand this" in caplog.text


async def test_what_was_emitted_is_sent_before_the_end(world, bus):
    heard: asyncio.Queue[str] = asyncio.Queue()

    async def hear(message: Text) -> None:
        heard.put_nowait(message.text)

    await bus.listen(HINT, hear)
    await bus.transport.flush()
    leaving = await world.bus()
    leaving.emit(HINT, Text(text="last words"))
    await leaving.close()
    assert await heard.get() == "last words"


async def test_calls_end_when_their_own_connection_is_closed(world, server):
    leaving = await world.bus()
    calling = asyncio.ensure_future(leaving.call(WAIT, Text()))
    await server.waiting.wait()
    await leaving.close()
    with pytest.raises(Unavailable):
        await calling


async def test_a_trace_goes_through_calls_and_events(world, bus, server):
    records: list[telemetry.SpanRecord] = []
    stop = telemetry.configure("test", "node1", records.append)
    heard = asyncio.Event()

    async def hear(message: Text) -> None:
        heard.set()

    await bus.listen(HINT, hear)
    await bus.transport.flush()
    with telemetry.span("root"):
        await bus.call(ECHO, Text())
        bus.emit(HINT, Text())
    await heard.wait()
    await asyncio.sleep(0)
    stop()
    spans = {(record.name, record.kind): record for record in records}
    root, client = spans["root", "INTERNAL"], spans["echo.echo", "CLIENT"]
    assert client.parent_id == root.span_id
    assert spans["echo.echo", "SERVER"].parent_id == client.span_id
    assert spans["event echo.hint", "SERVER"].parent_id == root.span_id
    assert {record.trace_id for record in records} == {root.trace_id}


async def test_a_reply_that_is_too_large_is_an_error_not_a_silence(nats):
    kernel = await nats.kernel()
    service = EchoService(kernel)
    async with serving(kernel, CONTRACT, service):
        bus = await nats.bus()
        with pytest.raises(ResourceExhausted, match="bytes"):
            await bus.call(ECHO, Text(text="x" * (9 << 20)))
        with pytest.raises(ResourceExhausted, match="bytes"):
            await bus.call(ECHO, Text(text="grow", count=9 << 20))
        assert await bus.call(ECHO, Text(text="still here")) == Text(text="still here")


async def test_a_killed_broker_costs_no_call(nats, broker):
    kernel = await nats.kernel()
    service = EchoService(kernel)
    async with serving(kernel, CONTRACT, service):
        bus = await nats.bus()
        waiting = [asyncio.ensure_future(bus.call(WAIT, Text(count=n))) for n in range(20)]
        for _ in waiting:
            await service.begins.get()
        for _ in range(3):
            broker.kill()
            waiting.append(asyncio.ensure_future(bus.call(WAIT, Text(count=len(waiting)))))
            await asyncio.sleep(0)
            broker.start()
        service.release.set()
        replies = await asyncio.gather(*waiting)
        assert [reply.count for reply in replies] == list(range(23))
        assert service.begun == 23


async def test_who_gave_up_while_the_broker_was_away_does_not_have_it_done_later(nats, broker):
    kernel = await nats.kernel()
    service = EchoService(kernel)
    async with serving(kernel, CONTRACT, service):
        bus = await nats.bus()
        broker.kill()
        await until(lambda: not bus.transport.connected)
        with pytest.raises(DeadlineExceeded):
            await bus.call(WAIT, Text(), timeout=0.05)
        broker.start()
        await bus.call(ECHO, Text(), timeout=10)
        assert service.begun == 1


async def test_the_hosts_of_a_service(world):
    kernels = [await world.kernel(node=node) for node in ("node1", "node2")]
    bus = await world.bus()
    told: list[str] = []
    async with (
        serving(kernels[0], CONTRACT, EchoService(kernels[0])),
        serving(kernels[1], CONTRACT, EchoService(kernels[1])),
    ):
        asking = asyncio.ensure_future(bus.nodes_of(CONTRACT.name, 1, told.append))
        await until(lambda: len(told) == 2, 20)
        assert sorted(await asking) == sorted(told) == ["node1", "node2"]
    assert await bus.nodes_of("nobody", 0.1) == ()


async def test_what_is_told_during_a_call_is_heard_before_its_answer(bus):
    heard = []
    await bus.hear(HINT, lambda said: heard.append(said.text))
    await bus.transport.flush()
    assert await bus.call(ECHO, Text(text="tell")) == Text(text="tell")
    assert heard == ["tell"]
    await bus.transport.publish(HINT.subject, b"[")  # what cannot be read is passed over
    await bus.call(ECHO, Text(text="tell"))
    assert heard == ["tell", "tell"]


async def test_a_new_instance_of_a_service_is_told_of(world, bus):
    begun = []
    stop = bus.on_started("echo", lambda: begun.append("echo"))
    kernel = await world.kernel()
    async with serving(kernel, CONTRACT, EchoService(kernel)):
        await until(lambda: bool(begun))
    stop()
    assert begun == ["echo"]


async def test_a_server_may_withdraw_and_listen_again_and_no_request_notices(world):
    kernel, bus, begun = await world.kernel(), await world.bus(), []
    service = EchoService(kernel)
    async with serving(kernel, CONTRACT, service) as server:
        stop = bus.on_started("echo", lambda: begun.append("echo"))
        assert server.at_rest
        early = asyncio.ensure_future(bus.call(WAIT, Text(text="just in time")))
        await asyncio.sleep(0)
        await bus.transport.flush()
        await server.withdraw()
        assert (service.begun, server.at_rest) == (1, False)
        late = asyncio.ensure_future(bus.call(WAIT, Text(text="too late")))
        assert not (await asyncio.wait((early, late), timeout=0.05))[0]
        assert service.begun == 1
        await server.listen()
        service.release.set()
        assert [await early, await late] == [Text(text="just in time"), Text(text="too late")]
        stop()
    assert not begun
