from __future__ import annotations

from gateway import execs
from gateway.execs import Execs
from shared.contracts.execs import ExecCreateRequest

ASKED = ExecCreateRequest(id="c", cmd=("true",))


def test_an_exec_is_begun_once() -> None:
    known = Execs()
    known.add("e", "n1", ASKED)
    assert known.begin("e") == ASKED
    assert known.begin("e") is None
    assert known.begin("other") is None
    assert (known.node("e"), known.node("other")) == ("n1", "")


def test_the_oldest_are_forgotten() -> None:
    known = Execs()
    for number in range(execs.MOST + 1):
        known.add(str(number), "n1", ASKED)
    assert known.begin("0") is None
    assert known.begin("1") == ASKED
