"""Processes by descriptor."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
from collections.abc import Iterator

import pytest

from services.platform.adapters import process
from shared.errors import InvalidArgument
from tests.support.process import carrying


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    made = subprocess.Popen(["sleep", "100"])
    yield made
    made.kill()
    made.wait()


async def test_the_end_is_told_once(child: subprocess.Popen[bytes]) -> None:
    handle, ended = process.Handle(child.pid), asyncio.Event()
    handle.on_end(ended.set)
    handle.send(15)
    await asyncio.wait_for(ended.wait(), 60)
    assert child.wait() == -15
    with pytest.raises(ProcessLookupError):
        handle.send(0)
    handle.close()
    handle.close()


async def test_closing_stops_watching(child: subprocess.Popen[bytes]) -> None:
    handle, told = process.Handle(child.pid), []
    handle.on_end(lambda: told.append(1))
    handle.close()
    child.kill()
    child.wait()
    await asyncio.sleep(0.01)
    assert told == []


def test_a_process_is_known_by_its_start(child: subprocess.Popen[bytes]) -> None:
    start = process.start_time(child.pid)
    assert start > 0
    found = process.alive(child.pid, start)
    assert found is not None
    found.close()
    assert process.alive(child.pid, start + 1) is None
    assert process.start_time(1 << 22) == 0
    assert process.alive(1 << 22, 0) is None


def test_children_are_reaped_and_others_left_alone() -> None:
    pid = os.posix_spawn("/bin/true", ["true"], {})
    process.reap_now(pid)
    process.reap_now(pid)
    process.reap(1)
    assert not os.path.exists(f"/proc/{pid}")


def test_a_process_is_found_by_its_arguments_and_ended() -> None:
    with carrying("4711.25") as child:
        assert process.with_argument("4711.25") == [child.pid]
        assert process.with_argument("4711") == []
        process.end(child.pid)
        assert child.join(60) == -9
        process.end(child.pid)


def test_sockets_are_counted() -> None:
    assert process.sockets(1 << 22) > 1000
    before = process.sockets(os.getpid())
    with socket.socket():
        assert process.sockets(os.getpid()) == before + 1


def test_ps_of_the_host() -> None:
    assert "PID" in process.ps(["-ef"])
    with pytest.raises(InvalidArgument, match="ps: error"):
        process.ps(["--nope"])


def test_ps_of_somebody_elses_processes() -> None:
    """Without a word of which, ps shows those of its own user and terminal."""
    other = subprocess.Popen(["sleep", "100"], user=65534)
    try:
        assert str(other.pid) in process.ps(["-o", "pid"], [other.pid]).split()
        assert str(other.pid) in process.ps(["o", "pid"], [other.pid]).split()
        assert "sleep 100" in process.ps(["-ef"], [other.pid, os.getpid()])
        assert str(other.pid) in process.ps(["-ef", "--forest"], [other.pid]).split()  # does not go together
    finally:
        other.kill()
        other.wait()


def test_whether_a_process_sleeps(child: subprocess.Popen[bytes]) -> None:
    busy = subprocess.Popen(["sh", "-c", "echo; while :; do :; done"], stdout=subprocess.PIPE)
    try:
        assert busy.stdout is not None
        assert busy.stdout.readline() == b"\n"
        assert not process.sleeps(busy.pid)
        assert process.sleeps(1 << 22)
        os.kill(child.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, child.pid, os.WSTOPPED)
        assert not process.sleeps(child.pid)
    finally:
        busy.kill()
        busy.communicate()
