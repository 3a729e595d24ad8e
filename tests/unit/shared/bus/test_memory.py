"""What the twin does apart from the suites that it shares with a real broker."""

from __future__ import annotations

import asyncio
from functools import partial

from shared.bus import Delivery, MemoryBroker


def _note(heard: list[str], name: str, delivery: Delivery) -> None:
    heard.append(name)


async def test_each_message_goes_to_all_who_listen_and_to_one_of_each_group():
    broker = MemoryBroker()
    heard: list[str] = []
    for name, queue in (("a", ""), ("b", ""), ("c", "group"), ("d", "group")):
        await broker.connect().subscribe("x.*", partial(_note, heard, name), queue)
    transport = broker.connect()
    for _ in range(2):
        await transport.publish("x.y", b"")
        await transport.publish("x.y.z", b"")
    await asyncio.sleep(0)
    assert sorted(heard) == ["a", "a", "b", "b", "c", "d"]


async def test_a_question_that_nobody_hears_is_answered_by_503():
    broker = MemoryBroker()
    heard: list[Delivery] = []
    transport = broker.connect()
    await transport.subscribe("inbox", heard.append)
    await transport.publish("nobody", b"", reply="inbox")
    await transport.publish("nobody", b"", reply="nobody.either")
    await asyncio.sleep(0)
    assert [(one.subject, dict(one.headers)) for one in heard] == [("inbox", {"Status": "503"})]


async def test_deliveries_come_in_a_later_turn():
    broker = MemoryBroker()
    heard: list[Delivery] = []
    transport = broker.connect()
    await transport.subscribe("x", heard.append)
    await transport.publish("x", b"")
    assert heard == []
    await transport.flush()
    assert len(heard) == 1


async def test_a_closed_connection_hears_nothing():
    broker = MemoryBroker()
    heard: list[Delivery] = []
    transport, other = broker.connect(), broker.connect()
    subscription = await transport.subscribe("x", heard.append)
    await transport.close()
    await subscription.drain()
    await other.publish("x", b"")
    await other.flush()
    assert heard == []
    assert broker.subscriptions == {}


async def test_a_broken_connection_can_be_played():
    transport = MemoryBroker().connect()
    told: list[str] = []
    forget = transport.on_reconnect(lambda: told.append("again"))
    transport.on_refused(told.append)
    transport.on_lost(lambda: told.append("lost"))
    transport.reconnect()
    forget()
    transport.reconnect()
    assert told == ["again"]
    assert transport.connected
