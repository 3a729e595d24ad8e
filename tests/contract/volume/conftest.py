"""Who serves the volume contract."""

from __future__ import annotations

import pytest

from shared.contracts import volume
from tests.support.parties import Suite
from tests.support.simulators.host.volume import VolumeSimulator


@pytest.fixture(scope="session")
def suite() -> Suite:
    return Suite(volume.CONTRACT, simulator=lambda kernel: VolumeSimulator())
