"""Reading what a stream kept: events and spans of the past."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import msgspec

from shared.bus import Bus, Delivery
from shared.clock import rfc3339
from shared.errors import Unavailable
from shared.ids import new_token

BATCH = 500


async def replay(bus: Bus, stream: str, subject: str, since: int = 0) -> AsyncIterator[Delivery]:
    """The messages of a stream under `subject` stored at or after `since` (ns), oldest first, up to now."""
    request: dict[str, object] = {"next_by_subj": subject, "batch": BATCH}
    start = {"start_time": rfc3339(since)} if since else {"seq": 1}
    while True:
        got = await _batch(bus, stream, {**request, **start})
        for delivery in got:
            yield delivery
        if len(got) < BATCH:
            return
        start = {"seq": int(got[-1].headers["Nats-Sequence"]) + 1}


async def _batch(bus: Bus, stream: str, request: dict[str, object]) -> list[Delivery]:
    """One direct get of several messages (ADR-31): they come to one inbox, a 204 ends them, 404 means none."""
    inbox = f"{bus.transport.inbox}.r.{new_token()[:12]}"
    got: list[Delivery] = []
    done = asyncio.Event()

    def receive(delivery: Delivery) -> None:
        if delivery.headers.get("Status"):
            done.set()
        else:
            got.append(delivery)

    subscription = await bus.transport.subscribe(inbox, receive)
    try:
        await bus.transport.publish(f"$JS.API.DIRECT.GET.{stream}", msgspec.json.encode(request), reply=inbox)
        async with asyncio.timeout(10):
            await done.wait()
    except TimeoutError:
        raise Unavailable(f"the broker does not answer for stream {stream}") from None
    finally:
        await subscription.drain()
    return got
