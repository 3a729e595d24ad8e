"""Single calls, of a real process's userfaultfd."""

from __future__ import annotations

import ctypes
import hashlib
import mmap
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.platform.mover import userfaults
from services.platform.mover.absent import SOCKET
from services.platform.mover.store import PAGE
from tests.unit.services.platform.mover.test_absent import PAGES, START, ZEROS, Restored

DATA = os.urandom(4 * PAGE)


@pytest.fixture
def source() -> Iterator[int]:
    """Where `DATA` is."""
    memory = mmap.mmap(-1, len(DATA), mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    memory[:] = DATA
    yield ctypes.addressof(ctypes.c_char.from_buffer(memory))
    del memory


@pytest.fixture
def both(tmp_path: Path) -> Iterator[tuple[Restored, int]]:
    """A process, and its userfaultfd."""
    folder = os.open(tmp_path, os.O_PATH)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"/proc/self/fd/{folder}/{SOCKET}")
        listener.listen()
        process = Restored(tmp_path)
        connection, _ = listener.accept()
    os.close(folder)
    connection.recv(4, socket.MSG_WAITALL)
    _, [descriptor], _, _ = socket.recv_fds(connection, 1, 1)
    yield process, descriptor
    process.close()
    os.close(descriptor)
    connection.close()


def happened(descriptor: int) -> userfaults.Event:
    for _ in range(3000):
        if (event := userfaults.event(descriptor)) is not None:
            return event
        threading.Event().wait(0.01)
    raise AssertionError("nothing has happened")


def test_a_fault_is_told_and_answered(both: tuple[Restored, int], source: int) -> None:
    process, descriptor = both
    assert userfaults.event(descriptor) is None
    process.begin("read", START + PAGE, 1)
    event = happened(descriptor)
    assert (event.kind, event.second) == (userfaults.FAULT, START + PAGE)
    assert userfaults.place(descriptor, START + PAGE, source, 2 * PAGE) == 2 * PAGE
    assert process.said() == hashlib.sha256(DATA[:PAGE]).hexdigest()
    assert process.do("read", START + 2 * PAGE, 1) == hashlib.sha256(DATA[PAGE : 2 * PAGE]).hexdigest()


def test_what_is_there_already_stays(both: tuple[Restored, int], source: int) -> None:
    process, descriptor = both
    assert userfaults.zero(descriptor, START) == PAGE
    assert userfaults.place(descriptor, START, source, PAGE) == PAGE
    assert userfaults.zero(descriptor, START) == PAGE
    assert process.do("read", START, 1) == ZEROS


def test_of_what_is_not_one_mapping_a_part_is_given(both: tuple[Restored, int], source: int) -> None:
    process, descriptor = both
    last = START + (PAGES - 1) * PAGE
    assert userfaults.place(descriptor, last, source, 4 * PAGE) == PAGE
    assert userfaults.place(descriptor, last + PAGE, source, 4 * PAGE) == PAGE  # nothing is mapped there
    assert process.do("read", last, 1) == hashlib.sha256(DATA[:PAGE]).hexdigest()


def test_while_mappings_change_nothing_is_given(both: tuple[Restored, int], source: int) -> None:
    process, descriptor = both
    process.begin("forget", START, PAGE)
    while True:
        try:
            userfaults.place(descriptor, START + PAGE, source, PAGE)
        except BlockingIOError:
            break
    event = happened(descriptor)
    assert event[:3] == (userfaults.REMOVE, START, START + PAGE)
    assert process.said() == "done"
    assert userfaults.place(descriptor, START + 2 * PAGE, source, PAGE) == PAGE


def test_a_process_that_has_ended_is_told_apart(both: tuple[Restored, int], source: int) -> None:
    process, descriptor = both
    process.close()
    for call in (lambda: userfaults.place(descriptor, START, source, PAGE), lambda: userfaults.zero(descriptor, START)):
        with pytest.raises(ProcessLookupError):
            call()
