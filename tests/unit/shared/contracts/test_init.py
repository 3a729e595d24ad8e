"""The contracts as a whole."""

from __future__ import annotations

from shared.bus.transport import matches
from shared.contracts import CONTRACTS
from shared.contracts.base import AGREED, BUCKET


def test_the_contracts_agree_with_each_other():
    """What one calls, hears and reads exists with another; no two own the same keys, or answer one subject."""
    endpoints = {endpoint.name for contract in CONTRACTS.values() for endpoint in contract.endpoints}
    assert len(endpoints) == sum(len(contract.endpoints) for contract in CONTRACTS.values())
    patterns = [keys.pattern for contract in CONTRACTS.values() for keys in contract.owns]
    assert len(patterns) == len(set(patterns))
    events = {event.name for contract in CONTRACTS.values() for event in contract.events}
    for name, contract in CONTRACTS.items():
        assert name == contract.name
        assert all(endpoint.service == name for endpoint in contract.endpoints)
        for call in contract.calls:
            service, _, operation = call.partition(".")
            assert call in endpoints or (operation == "*" and service in CONTRACTS), call
        assert set(contract.hears) - {"events.*"} <= events
        assert all(keys.bucket in (BUCKET, AGREED) for keys in contract.owns)
        for pattern in (*contract.reads, *contract.reads_agreed):
            assert any(matches(pattern.replace("*", ">"), owned) for owned in patterns), pattern


def test_callers_come_after_those_they_call():
    """The order of starting; endpoints without a deadline must be bound to a host, whose restart ends the wait."""
    seen: set[str] = set()
    for name, contract in CONTRACTS.items():
        assert {call.partition(".")[0] for call in contract.calls} <= {*seen, name}
        assert all(endpoint.host_bound or endpoint.timeout for endpoint in contract.endpoints)
        seen.add(name)
