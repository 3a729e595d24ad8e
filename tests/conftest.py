"""Fixtures of all tests: a real broker, and the two worlds of the kernel's own suite.

`world` is once the in-memory twins and once a real broker, so that one suite holds for both; `broker` is a real one
alone, which may be killed and started; `nats` is its world.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.support.broker import Broker
from tests.support.limits import Limits
from tests.support.worlds import NatsWorld, World, memory_world, nats_world

# How long an example takes, or making one, is the machine's matter.
settings.register_profile("machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("machine")

OURS = ("SHOAL_TEST_", "SHOAL_CONFORMANCE_")
"""What environment variables that tests read begin with."""


def pytest_configure(config: pytest.Config) -> None:
    """A run that is ended from outside says where it hung, then ends as by Ctrl-C: fixtures sweep what they made.

    The shell's settings are those of another engine: what tests start does not get them.
    """
    for name in [name for name in os.environ if name.startswith("SHOAL_") and not name.startswith(OURS)]:
        del os.environ[name]
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    faulthandler.register(signal.SIGTERM, chain=True)
    config.pluginmanager.register(Limits(), "limits")


@pytest.fixture
def directory() -> Iterator[Path]:
    """A short path: names of unix sockets have at most 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="shoal-") as path:
        yield Path(path)


@pytest.fixture
def broker(directory: Path) -> Iterator[Broker]:
    """A real broker of its own for the test, as the engine configures it."""
    made = Broker(directory).start()
    yield made
    made.close()


@pytest.fixture
async def nats(directory: Path, broker: Broker) -> AsyncIterator[NatsWorld]:
    """The world of a real broker."""
    async with nats_world(directory, broker) as made:
        yield made


@pytest.fixture(params=["memory", "nats"])
async def world(request: pytest.FixtureRequest, directory: Path) -> AsyncIterator[World]:
    """Both worlds, one after the other."""
    if request.param == "memory":
        async with memory_world(directory) as made:
            yield made
    else:
        async with nats_world(directory, request.getfixturevalue("broker")) as made:
            yield made
