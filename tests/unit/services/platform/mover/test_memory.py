"""Memory of real processes."""

from __future__ import annotations

import ctypes
import mmap
import os
import subprocess

import pytest

from services.platform.mover.memory import CHUNK, Memory, private_areas
from services.platform.mover.store import PAGE


def test_private_memory_is_found_with_its_bytes() -> None:
    area = mmap.mmap(-1, 64 * PAGE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    start = ctypes.addressof(ctypes.c_char.from_buffer(area))
    area[3 * PAGE : 5 * PAGE] = os.urandom(2 * PAGE)
    found = {}
    memory = Memory(os.getpid(), 1)
    for address, data in memory.chunks():
        assert len(data) <= CHUNK
        for offset in range(0, len(data), PAGE):
            if start <= address + offset < start + 64 * PAGE:
                found[(address + offset - start) // PAGE] = data[offset : offset + PAGE]
    memory.close()
    assert {3, 4} <= set(found)
    assert found[3] + found[4] == area[3 * PAGE : 5 * PAGE]
    assert 40 not in found


def test_what_is_not_mapped_gives_nothing() -> None:
    memory = Memory(os.getpid(), 1)
    assert memory.read(0, PAGE) == b""
    assert list(memory.pieces(0, 4 * PAGE)) == []
    memory.close()


def test_a_process_that_is_gone() -> None:
    child = subprocess.Popen(["sleep", "1000"])
    memory = Memory(child.pid, 1)
    child.kill()
    child.wait()
    assert list(memory.chunks()) == []
    memory.close()
    with pytest.raises(OSError, match=str(child.pid)):
        Memory(child.pid, 1)


def test_files_shared_memory_and_the_kernel_s_pages_are_left_out() -> None:
    lines = (
        "55d0-55e0 rw-p 00000000 00:00 0                  [heap]\n",
        "6000-7000 rw-p 00000000 00:00 0 \n",
        "7000-8000 rw-p 00000000 fe:00 1234               /usr/bin/x\n",
        "8000-9000 rw-s 00000000 00:00 0 \n",
        "9000-a000 r--p 00000000 00:00 0                  [vvar]\n",
        "a000-b000 r-xp 00000000 00:00 0                  [vdso]\n",
        "b000-c000 ---p 00000000 00:00 0                  [anon: guard]\n",
    )
    assert list(private_areas(iter(lines))) == [(0x55D0, 0x55E0), (0x6000, 0x7000), (0xB000, 0xC000)]
