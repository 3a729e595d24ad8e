"""An executor on a simulated node."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.executor_node import Node


@pytest.fixture
async def node() -> AsyncIterator[Node]:
    with tempfile.TemporaryDirectory(prefix="shoal") as directory:  # short: sockets live below it
        made = Node(Path(directory))
        await made.open()
        await made.boot()
        try:
            yield made
        finally:
            await made.close()
