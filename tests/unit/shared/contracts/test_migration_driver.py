from __future__ import annotations

from shared.contracts.migration_driver import FREEZE, place


def test_a_driver_is_addressed_by_host_and_name() -> None:
    assert FREEZE.subject(place("n1")) == "shoal.v1.migration_driver.n1-criu.freeze"
    assert FREEZE.subject(place("n1", "archive")) == "shoal.v1.migration_driver.n1-archive.freeze"
