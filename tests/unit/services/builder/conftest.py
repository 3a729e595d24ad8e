"""A builder with its neighbours in memory."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
import uvloop

from services.builder.adapters.spool import Spools
from tests.support.builder_world import World, builder_world


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> dict[str, Callable[[], object]]:
    """The loop that services run on."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture
async def world() -> AsyncIterator[World]:
    with tempfile.TemporaryDirectory(prefix="shoal-") as directory:  # short: sockets lie in it
        async with builder_world(Path(directory)) as made:
            yield made


@pytest.fixture
def spools(tmp_path: Path) -> Iterator[Spools]:
    made = Spools(tmp_path / "spools")
    yield made
    made.close()
