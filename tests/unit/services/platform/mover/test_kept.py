"""What is kept of a process's userfaultfds goes when that process closes them, and stays when it ends."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from services.platform.mover.kept import Kept

HOLDER = """
import ctypes, os, platform, sys
call = {"x86_64": 323, "aarch64": 282}[platform.machine()]
made = [ctypes.CDLL(None).syscall(call, os.O_CLOEXEC) for _ in range(2)]
print(min(made), flush=True)
for line in sys.stdin:
    number = int(line)
    if number >= 0:
        os.close(made[number])
        if number:  # another one gets its number
            os.dup2(ctypes.CDLL(None).syscall(call, os.O_CLOEXEC), made[number])
    print(number, flush=True)
"""


class Holder:
    """A process with two userfaultfds."""

    def __init__(self) -> None:
        pipe = subprocess.PIPE
        self.process = subprocess.Popen([sys.executable, "-c", HOLDER], stdin=pipe, stdout=pipe, text=True)
        assert self.process.stdout is not None
        if int(self.process.stdout.readline()) < 0:
            raise RuntimeError("userfaultfd(2) is refused")
        self.handle = os.pidfd_open(self.process.pid)
        self.kept = Kept(self.process.pid, self.handle)

    def closes(self, number: int) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{number}\n")
        self.process.stdin.flush()
        self.process.stdout.readline()


@pytest.fixture
def holder() -> Iterator[Holder]:
    made = Holder()
    yield made
    made.kept.close()
    os.close(made.handle)
    made.process.kill()
    made.process.communicate()


def test_what_is_closed_is_let_go(holder: Holder) -> None:
    """Also where another one has its number by now: the kernel would wait for nobody."""
    assert len(holder.kept) == 0
    holder.kept.take()
    assert len(holder.kept) == 2
    holder.kept.release()
    assert len(holder.kept) == 2
    holder.closes(0)
    holder.kept.release()
    assert len(holder.kept) == 1
    holder.closes(1)
    holder.kept.release()
    assert len(holder.kept) == 0


def test_what_ends_with_the_process_is_kept(holder: Holder) -> None:
    """Whoever reads a page that never came would read zeros."""
    holder.kept.take()
    holder.process.kill()
    os.waitid(os.P_PID, holder.process.pid, os.WEXITED | os.WNOWAIT)
    holder.kept.release()
    assert len(holder.kept) == 2
    holder.process.wait()
    holder.kept.release()
    assert len(holder.kept) == 2
