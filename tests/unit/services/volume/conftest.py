"""The volume service on in-memory twins."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.support.volume_world import VolumeWorld


@pytest.fixture
def world(tmp_path: Path) -> Iterator[VolumeWorld]:
    """Broker, store and folders, which outlive the service."""
    made = VolumeWorld(tmp_path)
    yield made
    made.sweep()


@pytest.fixture
async def running(world: VolumeWorld) -> AsyncIterator[None]:
    """The service runs."""
    async with world.running():
        yield
