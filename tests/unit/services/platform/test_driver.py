"""The driver as others meet it: on the bus, by its name."""

from __future__ import annotations

from shared.contracts import migration_driver
from shared.contracts.migration_driver import MIGRATABLE, MigratableRequest
from shared.testing import serving
from tests.support.platform_host import Host


async def test_it_is_served_beside_the_platform(host: Host) -> None:
    ((contract, node, driver),) = host.service.drivers
    assert (contract, node) == (migration_driver.CONTRACT, "node1-criu")
    async with serving(host.kernel, contract, driver, node):
        told = await host.kernel.bus.call(MIGRATABLE, MigratableRequest(), node)
    assert told.log
    assert "this host is in no cluster" in told.reasons
