"""What the kernel tells of a real process's memory."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from services.platform.mover import injection, memory
from services.platform.mover.memory import Memory
from services.platform.mover.ranges import Range
from services.platform.mover.store import PAGE
from services.platform.mover.written import Untracked, Written, told

PAGES = 600
PROGRAM = f"""
import ctypes, mmap, os, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.mremap.restype = ctypes.c_void_p
libc.mremap.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_size_t, ctypes.c_int, ctypes.c_void_p)
areas = []
def new(pages):
    area = mmap.mmap(-1, pages * 4096, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    area[:] = os.urandom(len(area))
    areas.append(area)
    return ctypes.addressof(ctypes.c_char.from_buffer(area))
print(new({PAGES}), flush=True)
for line in sys.stdin:
    word, *given = line.split()
    said = "done"
    if word == "write":
        for page in given:
            areas[0][int(page) * 4096] = 1 ^ areas[0][int(page) * 4096]
    elif word == "new":
        said = new(int(given[0]))
    elif word == "direct":
        held = os.open(given[0], os.O_RDONLY | os.O_DIRECT)
    elif word == "move":  # to where nothing is
        start, to = int(given[0]), int(given[0]) + (1 << 32)
        said = libc.mremap(start, {PAGES} * 4096, {PAGES} * 4096, 3, to)
    elif word == "run":
        os.execv("/bin/sh", ["sh", "-c", "echo 7; exec cat"])
    print(said, flush=True)
"""


class Other:
    """A process with so many pages of memory, followed if the kernel can."""

    def __init__(self) -> None:
        words = [sys.executable, "-S", "-c", PROGRAM]
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.start, self.memory = self.said(), Memory(self.process.pid, 1)
        for descriptor in injection.userfaultfds([self.process.pid]).values():
            self.memory.follow(descriptor)

    def said(self) -> int:
        assert self.process.stdout is not None
        word = self.process.stdout.readline().strip()
        return int(word) if word.isdigit() else 0

    def do(self, *words: object) -> int:
        self.begin(*words)
        return self.said()

    def begin(self, *words: object) -> None:
        assert self.process.stdin is not None
        print(*words, file=self.process.stdin, flush=True)

    def pages(self, ranges: list[Range] | None, start: int = 0) -> set[int]:
        """Numbers of those that are in the area that begins there."""
        assert ranges is not None
        first = (start or self.start) // PAGE
        numbers = {page - first for begin, end in ranges for page in range(begin // PAGE, end // PAGE)}
        return {number for number in numbers if 0 <= number < PAGES}


def can_follow() -> bool:
    """Whether this kernel tells what is written (6.7 and later, x86-64)."""
    pagemap = os.open("/proc/self/pagemap", os.O_RDONLY)
    child = subprocess.Popen(["sleep", "1000"])
    try:
        for descriptor in injection.userfaultfds([child.pid]).values():
            Written(descriptor, pagemap).close()
            return True
    except Untracked:
        pass
    finally:
        os.close(pagemap)
        child.kill()
        child.wait()
    return False


ALL = set(range(PAGES))


@pytest.fixture
def other() -> Iterator[Other]:
    made = Other()
    yield made
    made.memory.close()
    made.process.kill()
    made.process.communicate()


def _compared(other: Other) -> None:
    assert not other.memory.is_followed()
    assert other.memory.written() is None


def where_told(test: Callable[..., None]) -> Callable[..., None]:
    """On kernels that do not tell what is written, memory is compared instead: that is tested there."""
    return test if can_follow() else _compared


@where_told
def test_all_is_told_once_and_then_what_is_written(other: Other) -> None:
    assert other.pages(other.memory.written()) == ALL
    other.do("write", 3, 4, 599)
    assert other.pages(other.memory.written()) == {3, 4, 599}
    assert other.pages(other.memory.written()) == set()
    assert other.memory.size() >= PAGES * PAGE


@where_told
def test_of_one_that_stands_still_all_is_one_or_the_other(other: Other) -> None:
    other.memory.written()
    other.do("write", 3, 599)
    same, written = map(other.pages, other.memory.still())
    assert (same, written) == (ALL - {3, 599}, {3, 599})
    assert other.pages(other.memory.still()[1]) == {3, 599}  # it is only looked at


@where_told
def test_what_came_since_counts_as_written(other: Other) -> None:
    other.memory.written()
    start = other.do("new", PAGES)
    same, written = other.memory.still()
    assert (other.pages(same, start), other.pages(written, start)) == (set(), ALL)
    assert other.pages(other.memory.written(), start) == ALL
    assert other.pages(other.memory.written(), start) == set()


@where_told
def test_what_was_moved_counts_as_written(other: Other) -> None:
    other.memory.written()
    to = other.do("move", other.start)
    assert to
    assert other.pages(other.memory.still()[1], to) == ALL
    assert other.pages(other.memory.written(), to) == ALL
    assert other.pages(other.memory.written(), to) == set()


@pytest.mark.parametrize("breaks", ["follow", "take"])
def test_nothing_is_lost_when_mappings_change_meanwhile(
    other: Other, breaks: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was taken before that was noticed is not told again by the kernel."""
    if not other.memory.is_followed():
        return _compared(other)
    other.memory.written()
    other.do("write", 3, 599)
    usual, left = getattr(Written, breaks), [1]

    def broken(self: Written, start: int, end: int) -> Any:
        if start > other.start and left:  # a later one than ours
            left.pop()
            if breaks == "take":
                usual(self, start, end)
            raise Untracked
        return usual(self, start, end)

    monkeypatch.setattr(Written, breaks, broken)
    monkeypatch.setattr(memory, "LOOSE", 0)
    assert other.pages(other.memory.written()) >= {3, 599}
    assert not left
    assert other.pages(other.memory.written()) == set()
    return None


@where_told
def test_what_devices_write_into_is_compared(other: Other) -> None:
    """They do so past the protection."""
    other.memory.written()
    other.do("direct", __file__)
    assert not other.memory.is_followed()
    assert other.memory.written() is None


@where_told
def test_a_little_that_cannot_be_followed_always_counts_as_written(other: Other) -> None:
    start, second = other.do("new", 1), Memory(other.process.pid, 1)
    second.follow(injection.userfaultfds([other.process.pid])[other.process.pid])
    assert second._written is not None
    second._written.follow(start, start + PAGE)
    for _ in range(2):
        assert 0 in other.pages(other.memory.written(), start)
    assert 0 in other.pages(other.memory.still()[1], start)
    assert other.pages(other.memory.written()) == set()
    second.close()


@where_told
def test_what_others_follow_is_compared(other: Other) -> None:
    """A mapping belongs to one userfaultfd."""
    other.memory.written()
    second = Memory(other.process.pid, 1)
    second.follow(injection.userfaultfds([other.process.pid])[other.process.pid])
    assert second.written() is None
    assert not second.is_followed()
    second.close()
    other.do("write", 5)
    assert other.pages(other.memory.still()[1]) == {5}  # and the other's is as it was


@where_told
def test_what_came_since_and_others_follow_counts_as_written(other: Other) -> None:
    other.memory.written()
    start = other.do("new", PAGES)
    second = Memory(other.process.pid, 1)
    second.follow(injection.userfaultfds([other.process.pid])[other.process.pid])
    assert second._written is not None
    second._written.follow(start, start + PAGES * PAGE)
    second._written.take(start, start + PAGES * PAGE)
    same, written = other.memory.still()
    assert (other.pages(same, start), other.pages(written, start)) == (set(), ALL)
    second.close()


@where_told
def test_the_memory_of_a_program_that_is_no_more_is_gone(other: Other) -> None:
    other.memory.written()
    was_gone = other.memory.gone
    assert other.do("run") == 7
    assert (was_gone, other.memory.gone) == (False, True)
    assert other.memory.written() == []
    other.process.kill()
    other.process.wait()
    assert other.memory.gone


@where_told
def test_without_the_descriptor_nothing_is_protected(other: Other) -> None:
    other.memory.written()
    other.memory.close()
    with open(f"/proc/{other.process.pid}/smaps") as file:
        assert not [line for line in file if line.startswith("VmFlags") and " uw" in line]
    other.memory = Memory(other.process.pid, 1)
    assert not other.memory.is_followed()


@pytest.mark.parametrize(
    ("release", "machine", "expected"),
    [("6.7.0", "x86_64", True), ("6.18.44-x", "x86_64", True), ("7.0", "x86_64", True), ("6.6.9", "x86_64", False),
     ("5.10.0", "x86_64", False), ("6.12.1", "aarch64", False), ("unknown", "x86_64", False)],
)  # fmt: skip
def test_which_kernels_tell(release: str, machine: str, expected: bool) -> None:
    assert told(release, machine) is expected
