"""Reading what a stream kept: events and spans of the past."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import msgspec

from shared.bus import Bus, Delivery
from shared.clock import rfc3339
from shared.errors import Unavailable
from shared.ids import new_token
from shared.state.watch import api

BATCH = 500
PATIENCE = 10.0
_ENDS = ("204", "404")


async def replay(bus: Bus, stream: str, subject: str, since: int = 0, host: str = "") -> AsyncIterator[Delivery]:
    """The messages of a stream under `subject` stored at or after `since` (ns), oldest first, up to now; of another
    host's stream where one is named. Raises `Unavailable`.
    """
    request: dict[str, object] = {"next_by_subj": subject, "batch": BATCH}
    start: dict[str, object] = {"start_time": rfc3339(since)} if since else {"seq": 1}
    while True:
        got, more = await _batch(bus, host, stream, {**request, **start})
        for delivery in got:
            yield delivery
        if not got or not more:
            return
        start = {"seq": int(got[-1].headers["Nats-Sequence"]) + 1}


async def _batch(bus: Bus, host: str, stream: str, request: dict[str, object]) -> tuple[list[Delivery], bool]:
    """One direct get of several messages, and whether there are more.

    They come to one inbox (ADR-31); a 204 ends them and tells how many are left, a 404 means that there are none.
    """
    inbox = f"{bus.transport.inbox}.r.{new_token()[:12]}"
    got: list[Delivery] = []
    end: asyncio.Future[Delivery] = asyncio.get_running_loop().create_future()

    def receive(delivery: Delivery) -> None:
        if not delivery.headers.get("Status"):
            got.append(delivery)
        elif not end.done():
            end.set_result(delivery)

    subscription = await bus.transport.subscribe(inbox, receive)
    try:
        await bus.transport.publish(f"{api(host)}.DIRECT.GET.{stream}", msgspec.json.encode(request), reply=inbox)
        async with asyncio.timeout(PATIENCE):
            last = await end
    except TimeoutError:
        raise Unavailable(f"the broker does not answer for stream {stream}") from None
    finally:
        await subscription.drain()
    if last.headers["Status"] not in _ENDS:
        raise Unavailable(f"stream {stream} cannot be read: status {last.headers['Status']}")
    return got, int(last.headers.get("Nats-Num-Pending", "0")) > 0
