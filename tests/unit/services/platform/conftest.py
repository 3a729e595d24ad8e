"""A platform with real monitors, runtime, control groups and mounts, on the loop that services run on."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest
import uvloop

from tests.support.moving_hosts import Pair, moving_hosts
from tests.support.platform_host import Host, platform_host


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> dict[str, Callable[[], object]]:
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture
async def host() -> AsyncIterator[Host]:
    """A host of its own for the test: folders, control group, root file system; swept at the end."""
    async with platform_host() as made:
        yield made


@pytest.fixture
async def pair() -> AsyncIterator[Pair]:
    """Two hosts of a cluster, between which workloads move."""
    async with moving_hosts() as made:
        yield made
