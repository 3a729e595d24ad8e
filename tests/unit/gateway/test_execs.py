from __future__ import annotations

import asyncio

import pytest

from gateway import execs
from gateway.execs import Execs
from shared.contracts.execs import ExecCreateRequest
from shared.errors import Conflict, ShoalError

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


async def test_who_uses_an_exec_waits_until_its_executor_knows_of_it() -> None:
    known, answers = Execs(), asyncio.Queue[ShoalError | None]()
    for id in ("e", "f"):
        known.add(id, "n1", ASKED, asyncio.ensure_future(answers.get()))
    waiting = [asyncio.ensure_future(known.told(id)) for id in ("e", "f")]
    await asyncio.sleep(0)
    assert not any(each.done() for each in waiting)
    answers.put_nowait(None)
    answers.put_nowait(Conflict("container c is not running"))
    await waiting[0]
    for refused in (waiting[1], known.told("f")):
        with pytest.raises(Conflict, match="is not running"):
            await refused
    await known.told("of somebody else")
