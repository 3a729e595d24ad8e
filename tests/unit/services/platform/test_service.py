"""The service as its callers see it: over a bus."""

from __future__ import annotations

from shared.contracts import platform
from shared.contracts.base import Empty
from shared.contracts.common import Ref
from shared.contracts.executor import LogsRequest
from shared.testing import serving
from tests.support.platform_host import Host, everything, frames


async def test_a_container_over_the_bus(host: Host) -> None:
    bus = host.kernel.bus
    async with serving(host.kernel, platform.CONTRACT, host.service):
        request = host.request("sh", "-c", "echo hello; exit 3")
        await bus.call(platform.PREPARE, platform.PrepareRequest(request=request))
        made = await bus.call(platform.CREATE, request)
        assert made.pid > 0
        assert not host.service.at_rest()
        assert (await bus.call(platform.START, Ref(id=request.id))).started_at > 0
        told = await host.exited(request.id)
        assert (told.id, told.exit_code, told.node, told.exec_id) == (request.id, 3, "node1", "")
        (listed,) = (await bus.call(platform.LIST, Empty())).workloads
        assert host.service.at_rest()
        assert (listed.state, listed.exit_code, listed.log_path) == ("stopped", 3, made.log_path)
        offer = await bus.call(platform.LOGS, LogsRequest(id=request.id))
        assert frames(await everything(await host.kernel.streams.take(offer))) == [(1, b"hello\n")]
        await bus.call(platform.DELETE, platform.DeleteRequest(id=request.id, logs=True))
        assert (await bus.call(platform.LIST, Empty())).workloads == ()
        assert (await bus.call(platform.HOST, Empty())).cpus > 0
