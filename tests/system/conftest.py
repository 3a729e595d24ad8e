"""One engine for the session; every test starts with an empty one."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.support.engine import IMAGE, Engine
from tests.support.shoal import Shoal
from tools.bench.reference import Dockerd

CHOICE = os.environ.get("SHOAL_TEST_ENGINE", "shoal")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "beyond_reference(reason): dockerd 20.10 does it otherwise, or cannot do it here"
    )
    config.addinivalue_line("markers", "shoal_only: needs to know the engine's own processes")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Against another engine, only what it is expected to do is run."""
    if CHOICE == "shoal":
        return
    left_out = {"shoal_only"} | ({"beyond_reference"} if CHOICE == "reference" else set())
    kept = [item for item in items if not left_out & {mark.name for mark in item.iter_markers()}]
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = kept


@pytest.fixture(scope="session")
def _session_engine() -> Iterator[Engine]:
    if CHOICE.startswith("unix://"):
        yield _prepared(Engine(CHOICE))
    elif CHOICE == "reference":
        with Dockerd() as reference:
            yield _prepared(Engine(reference.host, reference.netns))
    else:
        with Shoal() as shoal:
            yield _prepared(Engine(shoal.host, shoal.netns))


def _prepared(engine: Engine) -> Engine:
    engine.sweep()
    engine.load_busybox()
    return engine


@pytest.fixture
def engine(_session_engine: Engine) -> Iterator[Engine]:
    """The engine, holding nothing but the image busybox:latest."""
    yield _session_engine
    _session_engine.sweep()


@pytest.fixture
def image_engine(engine: Engine) -> Iterator[Engine]:
    """For tests that make images: these are removed afterwards."""
    yield engine
    engine.sweep()
    engine.sweep_images()
    assert engine.call("GET", f"/images/{IMAGE}/json").status == 200
