"""The network service on a host of its own, with another host beside it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.support.host_network import own_host
from tests.support.network_world import NetworkWorld


@pytest.fixture
def world(tmp_path: Path) -> Iterator[NetworkWorld]:
    with own_host():
        made = NetworkWorld(tmp_path)
        yield made
        made.sweep()


@pytest.fixture
async def running(world: NetworkWorld) -> AsyncIterator[None]:
    async with world.running():
        yield
