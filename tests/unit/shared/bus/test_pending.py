"""Requests that wait, over the in-memory twin: what is sent again, and what is told of it."""

from __future__ import annotations

import asyncio

import pytest

from shared.bus import Delivery, MemoryBroker, pending, wire
from shared.bus.pending import NoResponders, Pending, Request, ServerGone
from shared.errors import PermissionDenied, Unavailable


class Side:
    """A pending, and a server that answers when it is told to."""

    def __init__(self) -> None:
        broker = MemoryBroker()
        self.transport, self.server = broker.connect(), broker.connect()
        self.pending = Pending(self.transport, "me")
        self.got: list[Delivery] = []
        self.refuse = lambda subject: None

    async def open(self) -> None:
        self.transport.on_refused = self._on_refused  # type: ignore[method-assign]
        await self.pending.open()
        await self.server.subscribe("ask", self.got.append)

    def _on_refused(self, callback):
        self.refuse = callback
        return lambda: None

    async def answer(self, number: int = -1) -> None:
        await self.server.publish(self.got[number].reply, b"answer")

    def ask(self, request: Request, timeout: float | None = 5.0) -> asyncio.Task[Delivery]:
        return asyncio.get_running_loop().create_task(self.pending.request(request, timeout))


@pytest.fixture
async def side():
    made = Side()
    await made.open()
    return made


def request(**fields) -> Request:
    return Request("ask", b"?", {}, **fields)


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_an_answer_comes_to_who_asked(side):
    asking = [side.ask(request()) for _ in range(3)]
    await turns()
    await side.answer(1)
    await turns()
    assert [task.done() for task in asking] == [False, True, False]
    for number in (0, 2, 2):
        await side.answer(number)
    await asyncio.gather(*asking)
    assert side.pending._waiting == {}


async def test_the_time_left_goes_along(side):
    asking = side.ask(request(), timeout=2.0)
    endless = side.ask(request(), timeout=None)
    await turns()
    assert 1900 < int(side.got[0].headers[wire.TIMEOUT]) <= 2000
    assert wire.TIMEOUT not in side.got[1].headers
    for task in (asking, endless):
        task.cancel()


async def test_what_was_answered_in_vain_is_asked_again(side):
    """Whose answer it was is told by its subject, in lower case; the first time at once, then with pauses."""
    asking, other = side.ask(request()), side.ask(request())
    await turns()
    refused = side.got[0].reply
    for subject in ("_inbox_else.x.0-0", f"{refused.rpartition('.')[0].lower()}.zz-0", "nonsense"):
        side.pending.unanswered(subject)
    await turns()
    assert len(side.got) == 2
    side.pending.unanswered(refused.lower())
    await turns()
    assert len(side.got) == 3
    assert side.got[2].reply != refused
    assert side.got[2].reply.partition("-")[0] == refused.partition("-")[0]
    side.pending.unanswered(side.got[2].reply.lower())
    await turns()
    assert len(side.got) == 3
    await side.answer()
    await asking
    other.cancel()


async def test_after_a_break_it_is_sent_again_with_its_age(side):
    asking = side.ask(request())
    await turns()
    await asyncio.sleep(0.1)
    side.transport.reconnect()
    await turns()
    first, second = side.got
    assert first.reply != second.reply  # the broker lets each be answered once
    assert wire.AGE not in first.headers
    assert int(second.headers[wire.AGE]) >= 90
    assert int(second.headers[wire.TIMEOUT]) <= int(first.headers[wire.TIMEOUT]) - 90
    await side.answer()
    await asking


async def test_what_nobody_heard_was_never_begun(side):
    asked = Request("nobody", b"", {})
    with pytest.raises(NoResponders):
        await side.pending.request(asked, 1.0)
    assert asked.begun is None
    again = request()
    asking = side.ask(again)
    await turns()
    assert wire.AGE not in side.got[0].headers
    asking.cancel()


async def test_what_somebody_may_have_heard_stays_begun_though_nobody_is_there_now(side):
    asked = request()
    asking = side.ask(asked)
    await turns()
    begun = asked.begun
    await side.server.close()
    side.transport.reconnect()
    with pytest.raises(NoResponders):
        await asking
    assert asked.begun == begun is not None


async def test_nothing_is_sent_while_the_broker_is_away(side):
    side.transport.connected = False
    asking = side.ask(request())
    gives_up = side.ask(request(), timeout=0.01)
    with pytest.raises(TimeoutError):
        await gives_up
    side.transport.connected = True
    side.transport.reconnect()
    await turns()
    assert len(side.got) == 1
    assert wire.AGE not in side.got[0].headers
    await side.answer()
    await asking


async def test_a_new_instance_ends_the_waits_for_its_predecessor_only(side):
    ours = side.ask(request(server=("echo", "node1")))
    others = [side.ask(request(server=server)) for server in (("echo", "node2"), ("other", "node1"), ("", ""))]
    await turns()
    side.pending.server_started("echo", "node1")
    with pytest.raises(ServerGone):
        await ours
    assert not any(task.done() for task in others)
    await side.pending.close()
    for task in others:
        with pytest.raises(Unavailable):
            await task


async def test_a_refusal_of_the_broker_ends_the_waits_for_that_subject(side):
    asked = Request("Ask.This", b"", {})
    await side.server.subscribe("Ask.This", side.got.append)
    asking, other = side.ask(asked), side.ask(request())
    await turns()
    side.refuse("ask.this")
    with pytest.raises(PermissionDenied, match="me"):
        await asking
    await turns()
    assert not other.done()
    other.cancel()


async def test_a_late_answer_and_one_too_many_are_ignored(side):
    asking = side.ask(request())
    await turns()
    await side.answer()
    await side.answer()
    assert (await asking).payload == b"answer"
    await side.answer()
    await turns()
    assert side.pending._waiting == {}


async def test_what_goes_to_another_host_is_sent_again_until_it_is_answered(side, monkeypatch):
    monkeypatch.setattr(pending, "FIRST_AGAIN", 0.01)
    asking = side.ask(request(far=True))
    near = side.ask(request())
    while len(side.got) < 4:  # noqa: ASYNC110
        await asyncio.sleep(0)
    assert [wire.AGE in delivery.headers for delivery in side.got] == [False, False, True, True]
    await side.answer(0)
    assert (await asking).payload == b"answer"
    near.cancel()
