"""System calls that are made by other, real processes."""

from __future__ import annotations

import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.platform.mover import injection

GIVES = platform.machine() == "x86_64"
"""Elsewhere memory is compared."""
PROGRAM = """
import ctypes, os, signal, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
heard = []
signal.signal(signal.SIGUSR1, lambda *_: heard.append(1))
{before}
print("ready", flush=True)
for line in sys.stdin:
    word = line.strip()
    if word == "fds":
        print(len(os.listdir("/proc/self/fd")), flush=True)
    elif word == "heard":
        print(len(heard), flush=True)
    elif word == "sleep":
        print("sleeps", flush=True)
        print(libc.nanosleep(struct.pack("=qq", 0, 500_000_000), None), ctypes.get_errno(), flush=True)
"""
FILTER = """
# who makes a userfaultfd is killed (seccomp(2)): load the number, compare it, kill or allow
code = struct.pack("=" + "HBBI" * 4, 0x20, 0, 0, 0, 0x15, 0, 1, 323, 0x06, 0, 0, 0x80000000, 0x06, 0, 0, 0x7FFF0000)
area = ctypes.create_string_buffer(code, len(code))
program = ctypes.create_string_buffer(struct.pack("=H6xQ", 4, ctypes.addressof(area)), 16)
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, program, 0, 0) == 0
"""


class Other:
    """A process that does what it is told."""

    def __init__(self, before: str = "") -> None:
        words = [sys.executable, "-S", "-c", PROGRAM.format(before=before)]
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.said() == "ready"

    def begin(self, word: str) -> None:
        assert self.process.stdin is not None
        print(word, file=self.process.stdin, flush=True)

    def said(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def do(self, word: str) -> str:
        self.begin(word)
        return self.said()


@pytest.fixture
def other(request: pytest.FixtureRequest) -> Iterator[Other]:
    made = Other(getattr(request, "param", ""))
    yield made
    made.process.kill()
    made.process.communicate()


def taken(pid: int) -> bool:
    found = injection.userfaultfds([pid])
    for descriptor in found.values():
        assert os.readlink(f"/proc/self/fd/{descriptor}") == "anon_inode:[userfaultfd]"
        assert not os.get_inheritable(descriptor)
        os.close(descriptor)
    return set(found) == {pid}


@pytest.mark.parametrize("other", ["", FILTER], ids=["free", "filtered"], indirect=True)
def test_a_process_gives_one_and_goes_on_as_before(other: Other) -> None:
    before = other.do("fds")
    assert taken(other.process.pid) is GIVES
    assert other.do("fds") == before


def test_a_call_that_it_was_in_goes_on(other: Other) -> None:
    """Also one that a signal handler would break off: nothing has happened in the process."""
    assert other.do("sleep") == "sleeps"
    began = time.monotonic()
    while time.monotonic() - began < 0.3:
        assert taken(other.process.pid) is GIVES
    assert other.said() == "0 0"
    assert time.monotonic() - began > 0.4


def test_no_signal_is_lost_or_doubled(other: Other) -> None:
    for _ in range(50):
        os.kill(other.process.pid, signal.SIGUSR1)
        assert taken(other.process.pid) is GIVES
        while f"{1 << signal.SIGUSR1 - 1:016x}" in pending(other.process.pid):
            pass
    assert other.do("heard") == "50"


def test_a_signal_that_comes_meanwhile_is_heard(other: Other) -> None:
    """Before it has stopped, too."""
    sender = subprocess.Popen(
        [sys.executable, "-S", "-c", "import os, sys\nwhile sys.stdin.read(1): os.kill(int(sys.argv[1]), 10)",
         str(other.process.pid)], stdin=subprocess.PIPE,
    )  # fmt: skip
    assert sender.stdin is not None
    for _ in range(200):
        sender.stdin.write(b"x")
        sender.stdin.flush()
        assert taken(other.process.pid) is GIVES
    sender.communicate()
    assert 1 <= int(other.do("heard")) <= 200  # those that wait for the same handler become one


def test_one_that_does_not_stop_is_let_go() -> None:
    """It waits for a child that has not begun its program (vfork(2)), which no signal ends."""
    waits = "import ctypes; libc = ctypes.CDLL(None)\nif not libc.vfork(): libc.pause()"
    child = subprocess.Popen([sys.executable, "-S", "-c", waits])
    try:
        with open(f"/proc/{child.pid}/stat") as file:
            while file.read().rpartition(")")[2].split()[0] != "D":
                file.seek(0)
        assert injection.userfaultfds([child.pid]) == {}
        with open(f"/proc/{child.pid}/status") as file:
            assert "TracerPid:\t0\n" in file.read()
    finally:
        inner = Path(f"/proc/{child.pid}/task/{child.pid}/children").read_text().split()
        for pid in (*map(int, inner), child.pid):
            os.kill(pid, signal.SIGKILL)
        child.wait()


def pending(pid: int) -> list[str]:
    with open(f"/proc/{pid}/status") as file:
        return [line.split()[1] for line in file if line.startswith(("SigPnd", "ShdPnd"))]


def test_one_that_is_stopped_stays_so(other: Other) -> None:
    os.kill(other.process.pid, signal.SIGSTOP)
    os.waitid(os.P_PID, other.process.pid, os.WSTOPPED)
    assert taken(other.process.pid) is GIVES
    with open(f"/proc/{other.process.pid}/stat") as file:
        assert file.read().rpartition(")")[2].split()[0] == "T"
    os.kill(other.process.pid, signal.SIGCONT)
    assert other.do("heard") == "0"


def test_those_that_cannot_give_one_are_left_out(other: Other) -> None:
    ended = subprocess.Popen(["true"])
    os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
    found = injection.userfaultfds([ended.pid, 2, other.process.pid])
    assert set(found) == ({other.process.pid} if GIVES else set())
    for descriptor in found.values():
        os.close(descriptor)
    ended.wait()
    assert injection.userfaultfds([]) == {}
