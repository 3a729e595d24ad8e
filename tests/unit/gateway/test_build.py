from __future__ import annotations

from pathlib import Path

from gateway.build import assemble
from shared.bus import MemoryBroker
from shared.clock import now_ns
from shared.contracts import network
from shared.contracts.common import DockerEvent
from shared.state.history import MemoryHistory
from shared.testing import kernel


async def test_the_gateway_hears_the_events_of_every_noun(tmp_path: Path) -> None:
    broker = MemoryBroker()
    async with kernel("gateway", tmp_path, broker) as own, kernel("network", tmp_path, broker) as other:
        gateway = await assemble(own, MemoryHistory())
        async with gateway.feed.listen() as listener:
            event = DockerEvent(type="network", action="create", actor="n", time_ns=now_ns())
            other.bus.emit(network.NETWORK_EVENT, event, suffix="create")
            assert await listener.next() == event
