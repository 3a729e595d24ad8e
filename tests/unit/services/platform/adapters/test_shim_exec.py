"""How the platform learns of the end of an exec that it did not begin itself."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.platform.adapters import bundle, process
from services.platform.adapters.shim_exec import ShimExec
from services.platform.domain.lifecycle import UNKNOWN_EXIT


def record(program: subprocess.Popen[bytes], shim: subprocess.Popen[bytes]) -> bundle.Record:
    return bundle.Record(
        id="c", exec_id="e", pid=program.pid, pid_start=process.start_time(program.pid), monitor=shim.pid,
        monitor_start=process.start_time(shim.pid), runtime="crun", shim=True,
    )  # fmt: skip


class Processes:
    """What stands for the program, and what for its shim."""

    def __init__(self) -> None:
        self.program, self.shim = subprocess.Popen(["sleep", "1000"]), subprocess.Popen(["sleep", "1000"])

    def end(self, one: subprocess.Popen[bytes]) -> None:
        one.kill()
        one.wait()


@pytest.fixture
def processes() -> Iterator[Processes]:
    made = Processes()
    yield made
    made.end(made.program)
    made.end(made.shim)


def write_exit(folder: Path, code: int) -> None:
    (folder / ".exit").write_text(str(code))
    os.rename(folder / ".exit", folder / "exit")


async def test_its_file_tells(tmp_path: Path, processes: Processes) -> None:
    running, told = ShimExec(record(processes.program, processes.shim), tmp_path), asyncio.Event()
    running.watch(told.set)
    assert not told.is_set()
    processes.end(processes.program)
    write_exit(tmp_path, 7)
    await told.wait()
    assert running.ended.result().exit_code == 7
    running.close()
    processes.end(processes.shim)


async def test_a_file_that_was_there_before(tmp_path: Path, processes: Processes) -> None:
    write_exit(tmp_path, 3)
    running, told = ShimExec(record(processes.program, processes.shim), tmp_path), asyncio.Event()
    running.watch(told.set)
    await told.wait()
    assert running.ended.result().exit_code == 3
    running.close()
    processes.end(processes.program)
    processes.end(processes.shim)


async def test_without_a_shim_its_process_is_watched(tmp_path: Path, processes: Processes) -> None:
    running, told = ShimExec(record(processes.program, processes.shim), tmp_path), asyncio.Event()
    running.watch(told.set)
    processes.end(processes.shim)
    await asyncio.sleep(0.01)
    assert not told.is_set()
    processes.end(processes.program)
    await told.wait()
    assert running.ended.result().exit_code == UNKNOWN_EXIT
    running.close()


async def test_when_both_are_gone_nobody_knows(tmp_path: Path, processes: Processes) -> None:
    made = record(processes.program, processes.shim)
    processes.end(processes.shim)
    processes.end(processes.program)
    running, told = ShimExec(made, tmp_path), asyncio.Event()
    running.watch(told.set)
    await told.wait()
    assert running.ended.result().exit_code == UNKNOWN_EXIT
    running.resize(1, 2)  # nobody holds its terminal any more
    running.close()


async def test_the_shim_tells_of_what_it_has_just_made(tmp_path: Path, processes: Processes) -> None:
    running, told = ShimExec(record(processes.program, processes.shim), tmp_path, []), asyncio.Event()
    running.watch(told.set)
    running.finish(5)
    await told.wait()
    assert (running.ended.result().exit_code, running.pipes) == (5, None)
    running.close()
    processes.end(processes.program)
    processes.end(processes.shim)
