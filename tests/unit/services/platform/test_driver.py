"""The driver as others meet it: on the bus, by its name."""

from __future__ import annotations

from pathlib import Path

from shared.contracts import migration_driver
from shared.contracts.migration_driver import MIGRATABLE, MigratableRequest
from shared.testing import kernel, serving
from tests.support.platform_host import service_on


async def test_it_is_served_beside_the_platform(tmp_path: Path) -> None:
    async with kernel("platform", tmp_path) as made, service_on(made, tmp_path) as host:
        ((contract, node, driver),) = host.service.drivers
        assert (contract, node) == (migration_driver.CONTRACT, "node1-criu")
        async with serving(made, contract, driver, node):
            told = await made.bus.call(MIGRATABLE, MigratableRequest(), node)
    assert told.log
    assert "this host is in no cluster" in told.reasons
