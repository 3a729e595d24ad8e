"""Every test of an adapter has a host's network for itself."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from services.network.adapters.proxy import Proxy
from services.network.service import NetworkService
from tests.support.host_network import own_host
from tests.support.network_world import NetworkWorld
from tools.bench.reference import end_all


@pytest.fixture
def host_network() -> Iterator[None]:
    """A network namespace stands for the host while the test runs; nothing of the machine's own is touched."""
    with own_host():
        yield


@pytest.fixture
async def proxy(host_network: None, directory: Path) -> AsyncIterator[Proxy]:
    """The side of a service; what it starts ends with the test."""
    made = Proxy(directory)
    yield made
    made.close()
    end_all(str(directory))


@pytest.fixture
def world(host_network: None, tmp_path: Path) -> Iterator[NetworkWorld]:
    """The service with a host for itself."""
    made = NetworkWorld(tmp_path)
    yield made
    made.sweep()


@pytest.fixture
async def service(world: NetworkWorld) -> AsyncIterator[NetworkService]:
    """The service, running."""
    async with world.running() as running:
        yield running
