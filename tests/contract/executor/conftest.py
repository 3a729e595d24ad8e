"""Who serves the executor's contract."""

from __future__ import annotations

import pytest

from shared.contracts import executor, image_store, network, platform, volume
from tests.support.parties import Suite
from tests.support.simulators.executor import ExecutorSimulator
from tests.support.simulators.host import (
    ImageStoreSimulator,
    NetworkSimulator,
    PlatformSimulator,
    VolumeSimulator,
)


@pytest.fixture(scope="session")
def suite() -> Suite:
    """Programs: `sleep` runs until it gets a signal, `exit N` ends at once."""
    return Suite(
        executor.CONTRACT,
        simulator=ExecutorSimulator,
        neighbours={
            platform.CONTRACT: PlatformSimulator,
            image_store.CONTRACT: lambda kernel: ImageStoreSimulator(),
            network.CONTRACT: lambda kernel: NetworkSimulator(),
            volume.CONTRACT: lambda kernel: VolumeSimulator(),
        },
    )
