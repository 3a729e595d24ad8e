"""The process that looks for changed memory, with another one as the workload."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from services.platform.mover.memory import Memory
from services.platform.mover.scan import CHANGED, DONE, END, Found, Scan
from services.platform.mover.store import PAGE, Store
from tests.unit.services.platform.mover.test_source import Workload

PROCESS = 7


@pytest.fixture
def workload() -> Iterator[Workload]:
    made = Workload(600)
    yield made
    made.close()


@pytest.fixture
def scan(workload: Workload) -> Iterator[Scan]:
    """Of one whose memory was sent."""
    memory, store = Memory(workload.process.pid, PROCESS), Store()
    for address, data in memory.chunks():
        store.put(PROCESS, address, data)
    made = Scan(store, [memory], [])
    yield made
    made.close()
    memory.close()


def all_found(scan: Scan) -> list[Found]:
    found = scan.found()
    while found[-1].kind != END:
        found += scan.found()
    return found


@pytest.mark.parametrize("gently", [False, True])
def test_what_has_changed_since_it_was_sent_is_found(workload: Workload, scan: Scan, gently: bool) -> None:
    for page in (3, 4, 599):
        workload.change(page)
    scan.begin(gently)
    found = all_found(scan)
    here = [each for each in found if workload.start <= each.address < workload.start + workload.length]
    changed = [(each.address - workload.start, each.length) for each in here if each.kind == CHANGED]
    assert changed == [(3 * PAGE, 2 * PAGE), (599 * PAGE, PAGE)]
    assert sum(each.length for each in found if each.kind == DONE) >= workload.length
    assert {each.process for each in here} == {PROCESS}


def test_a_change_is_told_before_its_range_is_done(workload: Workload, scan: Scan) -> None:
    workload.change(3)
    scan.begin(gently=False)
    kinds = {
        each.kind: number for number, each in enumerate(all_found(scan)) if each.address <= workload.start + 3 * PAGE
    }
    assert kinds[CHANGED] < kinds[DONE]


def test_one_that_is_killed_has_not_found_all(scan: Scan) -> None:
    os.kill(scan._pid, signal.SIGKILL)
    with pytest.raises(ValueError, match="has ended"):
        all_found(scan)
    scan.begin(gently=True)


def test_it_ends_with_whoever_would_hear_it(scan: Scan) -> None:
    handle = os.pidfd_open(scan._pid)
    os.close(scan._begin)
    assert os.waitid(os.P_PIDFD, handle, os.WEXITED | os.WNOWAIT) is not None
    os.close(handle)
    scan._begin = os.open(os.devnull, os.O_WRONLY)
