"""The walk over the swagger files: every test says with `provokes` which answers of which operation it brings about.

`test_complete.py` compares these marks with the swagger files, so that no documented status goes without a test.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.engine import IMAGE, Engine
from tests.support.swagger_walk import Caller
from tools.docker_api import swagger


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "provokes(operation, *statuses): the answers that the test brings about")


@pytest.fixture(params=swagger.VERSIONS)
def caller(request: pytest.FixtureRequest, engine: Engine) -> Iterator[Caller]:
    """Speaks one version after the other; in the end everything that the test promised has been provoked."""
    made = Caller(engine, swagger.load(request.param))
    yield made
    promised = {(mark.args[0], status) for mark in request.node.iter_markers("provokes") for status in mark.args[1:]}
    assert promised <= made.provoked, f"promised, but not provoked: {sorted(promised - made.provoked)}"


@pytest.fixture
def created(engine: Engine) -> str:
    """A container that has never run."""
    return engine.ok("create", IMAGE, "true")


@pytest.fixture
def running(engine: Engine) -> str:
    """A container without network that runs until it is removed."""
    return engine.start("--network", "none", IMAGE, "sleep", "1000")
