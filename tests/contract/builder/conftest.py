"""Who serves the builder's contract. Its neighbours are not needed for what is asked here."""

from __future__ import annotations

import pytest

from shared.contracts import builder
from tests.support.parties import Suite
from tests.support.simulators.builder import BuilderSimulator


@pytest.fixture(scope="session")
def suite() -> Suite:
    return Suite(builder.CONTRACT, simulator=BuilderSimulator)
