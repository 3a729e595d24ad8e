"""A program for hosts of a lab: calls an endpoint of this host as the operator and prints the answer.

python -P -m tests.support.ask network.detach '{"container_id": "..."}'
"""

from __future__ import annotations

import asyncio
import sys

import msgspec

from shared import config
from shared.contracts import CONTRACTS
from shared.service import connect


async def ask(name: str, body: str) -> bytes:
    """The answer of the endpoint `<service>.<operation>` to a request in JSON."""
    contract = CONTRACTS[name.partition(".")[0]]
    endpoint = next(each for each in contract.endpoints if each.name == name)
    bus, state = await connect(config.load(), "tool")
    try:
        reply = await bus.call(endpoint, msgspec.json.decode(body, type=endpoint.request))
    finally:
        await state.close()
        await bus.close()
    return msgspec.json.encode(reply)


if __name__ == "__main__":
    sys.stdout.buffer.write(asyncio.run(ask(sys.argv[1], sys.argv[2])))
