"""`python -m tests.support.store_call OPERATION REQUEST`: asks this host's image store as the operator, in JSON."""

from __future__ import annotations

import asyncio
import sys

import msgspec

from shared import config
from shared.bus import wire
from shared.contracts.image_store import CONTRACT
from shared.service import connect


async def _main(operation: str, request: str) -> None:
    endpoint = next(each for each in CONTRACT.endpoints if each.operation == operation)
    bus, state = await connect(config.load(), "tool")
    try:
        reply = await bus.call(endpoint, msgspec.json.decode(request, type=endpoint.request))
        print(wire.encode(reply).decode())
    finally:
        await state.close()
        await bus.close()


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:]))
