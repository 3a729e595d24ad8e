"""Two simulated hosts."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from services.migrator.adapters import upkeep
from tests.support.moving import Hosts, hosts


@pytest.fixture
async def pair(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Hosts]:
    monkeypatch.setattr(upkeep, "GRACE", 0.01)
    monkeypatch.setattr(upkeep, "PAUSE", 0.05)
    async with hosts() as made:
        yield made
