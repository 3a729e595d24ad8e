import msgspec

from services.scheduler.domain.facts import Bond, Host
from tests.unit.services.scheduler.domain.test_constraints import RECORD


def test_a_host_is_open_while_it_is_there_and_active() -> None:
    assert Host.of(RECORD, ready=True).is_open
    assert not Host.of(RECORD, ready=False).is_open
    assert not Host.of(msgspec.structs.replace(RECORD, availability="drain"), ready=True).is_open
    emulating = msgspec.structs.replace(RECORD, emulated=("arm64",))
    assert Host.of(emulating, ready=True).architectures == {"amd64", "arm64"}


def test_a_bond_binds_or_keeps_apart() -> None:
    assert Bond(frozenset("a"), "x").allows("a")
    assert not Bond(frozenset("a"), "x").allows("b")
    assert not Bond(frozenset("a"), "x", apart=True).allows("a")
    assert Bond(frozenset("a"), "x", apart=True).allows("b")
