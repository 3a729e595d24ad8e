"""A watched process and its end, with a stand-in for the monitor."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.platform.adapters import process
from services.platform.adapters.bundle import Record
from services.platform.adapters.workload import Watched, Workload
from services.platform.domain.lifecycle import UNKNOWN_EXIT

Child = subprocess.Popen[bytes]


@pytest.fixture
def pair() -> Iterator[tuple[Child, Child]]:
    """A process and what stands for its monitor."""
    made = subprocess.Popen(["sleep", "100"]), subprocess.Popen(["sleep", "100"])
    yield made
    for child in made:
        child.kill()
        child.wait()


def record(init: Child, monitor: Child) -> Record:
    starts = process.start_time(init.pid), process.start_time(monitor.pid)
    return Record(
        id="c", pid=init.pid, pid_start=starts[0], monitor=monitor.pid, monitor_start=starts[1], runtime="crun"
    )


async def end_of(watched: Watched) -> tuple[int, bool]:
    ended = await asyncio.wait_for(asyncio.shield(watched.ended), 60)
    return ended.exit_code, ended.oom_killed


async def test_the_end_is_what_the_monitor_wrote(pair: tuple[Child, Child], directory: Path) -> None:
    watched, told = Workload(record(*pair), directory, waits=False), []
    watched.watch(lambda: told.append(1))
    assert (watched.state, watched.monitored) == ("running", True)
    (directory / "exit").write_text("7")
    (directory / "oom").touch()
    pair[1].kill()
    assert await end_of(watched) == (7, True)
    assert watched.state == "stopped"
    await asyncio.sleep(0)
    assert told == [1]
    watched.close()


async def test_without_monitor_the_process_is_watched_itself(pair: tuple[Child, Child], directory: Path) -> None:
    watched = Watched(record(*pair), directory)
    watched.watch(lambda: None)
    pair[1].kill()
    pair[1].wait()
    await asyncio.sleep(0.02)
    assert not watched.ended.done()
    watched.send(9)
    assert await end_of(watched) == (UNKNOWN_EXIT, False)
    watched.send(9)
    watched.close()


async def test_both_gone_and_nothing_written(pair: tuple[Child, Child], directory: Path) -> None:
    written = record(*pair)
    for child in pair:
        child.kill()
        child.wait()
    watched = Watched(written, directory)
    watched.watch(lambda: None)
    assert await end_of(watched) == (UNKNOWN_EXIT, False)


@pytest.mark.parametrize(
    ("waits", "paused", "state"), [(True, True, "created"), (False, True, "paused"), (False, False, "running")]
)
async def test_states(pair: tuple[Child, Child], directory: Path, waits: bool, paused: bool, state: str) -> None:
    workload = Workload(record(*pair), directory, waits=waits, paused=paused)
    assert workload.state == state
    workload.close()
