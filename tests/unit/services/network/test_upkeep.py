"""What is done when nobody waits."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.network.adapters.links import HostLinks
from services.network.adapters.stacks import Stacks
from services.network.domain.drivers import HostLink, Wire
from services.network.domain.endpoints import Attachment, Plan
from services.network.upkeep import Upkeep
from shared.tasks import TaskGroup

pytestmark = pytest.mark.usefixtures("host_network")
PLAN = Plan("eth0", Wire(master="br0"), (ipaddress.ip_interface("10.9.0.2/16"),), "02:42:00:00:00:01", 1500)


class Watched(Stacks):
    """Tells when stacks are made or swept."""

    def __init__(self, links: HostLinks, folder: Path) -> None:
        super().__init__(links, folder, "tst")
        self._loop = asyncio.get_running_loop()
        self.told: asyncio.Queue[str] = asyncio.Queue()
        self.failures = 0

    def prepare(self) -> None:
        if self.failures:
            self.failures -= 1
            self._loop.call_soon_threadsafe(self.told.put_nowait, "failed")
            raise OSError("no memory")
        super().prepare()
        self._loop.call_soon_threadsafe(self.told.put_nowait, "made")

    def sweep(self) -> None:
        super().sweep()
        self._loop.call_soon_threadsafe(self.told.put_nowait, "swept")


@pytest.fixture
def links(host_network: None) -> Iterator[HostLinks]:
    opened = HostLinks()
    opened.ensure(HostLink("br0", addresses=(ipaddress.IPv4Interface("10.9.0.1/16"),)))
    yield opened
    opened.close()


async def told(stacks: Watched, *expected: str) -> None:
    async with asyncio.timeout(60):
        assert [await stacks.told.get() for _ in expected] == list(expected)


async def test_what_was_taken_is_made_again(links: HostLinks, tmp_path: Path) -> None:
    stacks = Watched(links, tmp_path)
    upkeep = Upkeep(stacks, TaskGroup("test"), ready=2)
    upkeep.start()
    await told(stacks, "made", "made")
    sandbox = stacks.set_up([PLAN])
    upkeep.used()
    upkeep.used()
    await told(stacks, "made")
    assert stacks.ready == 2
    upkeep.close()
    stacks.tear_down(sandbox, [Attachment(network_id="n", network_name="n", endpoint_id="e", interface="eth0")])
    stacks.close()


async def test_what_was_released_is_swept_once(links: HostLinks, tmp_path: Path) -> None:
    stacks = Watched(links, tmp_path)
    upkeep = Upkeep(stacks, TaskGroup("test"), ready=0, sweep_delay=0.01)
    for _ in range(3):
        upkeep.released()
    await told(stacks, "swept")
    assert stacks.told.empty()
    upkeep.close()


async def test_a_failure_is_tried_again(links: HostLinks, tmp_path: Path) -> None:
    stacks = Watched(links, tmp_path)
    stacks.failures = 1
    upkeep = Upkeep(stacks, TaskGroup("test"), ready=1, retry_delay=0.01)
    upkeep.start()
    await told(stacks, "failed", "made")
    upkeep.close()
    stacks.close()
    assert stacks.ready == 0
