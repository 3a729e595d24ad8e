"""Which pages of a process were written since it was last asked, as the kernel knows it (6.7 and later).

Its memory is registered with a userfaultfd of its own that protects pages from writes and lets them through at once
(UFFD_FEATURE_WP_ASYNC): what is written loses its protection, and PAGEMAP_SCAN finds it. See ioctl_userfaultfd(2) and
PAGEMAP_SCAN(2const). With the descriptor the protection goes.
"""

from __future__ import annotations

import ctypes
import errno
import os
import re
import struct
from collections.abc import Iterator

from .ranges import Range
from .store import PAGE

_API, _REGISTER, _SCAN = 0xC018AA3F, 0xC020AA00, 0xC0606610
_VERSION, _MODE = 0xAA, 1 << 1
_FEATURES = 1 << 13 | 1 << 15
"""UFFD_FEATURE_WP_UNPOPULATED, without which anonymous memory is not followed, and UFFD_FEATURE_WP_ASYNC."""
_PROTECT, _CHECK = 1, 2
_WRITTEN, _THERE = 1 << 1, 1 << 3 | 1 << 4
_REGION = struct.Struct("=QQQ")
_REGIONS = 4096
_ARGUMENT = struct.Struct("=12Q")
_libc = ctypes.CDLL(None, use_errno=True)
_libc.ioctl.argtypes = (ctypes.c_int, ctypes.c_ulong, ctypes.c_void_p)


def told(release: str, machine: str) -> bool:
    """Whether a kernel of that release tells it, and a userfaultfd of a process can be had (`injection`)."""
    found = re.match(r"(\d+)\.(\d+)", release)
    return machine == "x86_64" and found is not None and (int(found[1]), int(found[2])) >= (6, 7)


class Untracked(Exception):
    """The kernel does not follow what is written there."""


class Written:
    """One process's memory. `OSError`: it has ended, or runs another program."""

    def __init__(self, descriptor: int, pagemap: int) -> None:
        """A userfaultfd, which is ours from now on, and the process's pagemap. `Untracked`: not by this kernel."""
        self._descriptor, self._pagemap = descriptor, pagemap
        self._regions = ctypes.create_string_buffer(_REGION.size * _REGIONS)
        if self._control(descriptor, _API, struct.pack("=QQQ", _VERSION, _FEATURES, 0)):
            self.close()
            raise Untracked

    def follow(self, start: int, end: int) -> bool:
        """What is written in that mapping is known from now on; whether it was before. `Untracked`: it is no private
        memory (any more), or somebody else follows it.
        """
        known = self._follows(start)
        if self._control(self._descriptor, _REGISTER, struct.pack("=QQQQ", start, end - start, _MODE, 0)):
            raise Untracked
        return known

    def _follows(self, start: int) -> bool:
        try:
            list(self._scan(start, start + PAGE, _CHECK, 0))
        except Untracked:
            return False
        return True

    def take(self, start: int, end: int) -> list[Range]:
        """What was written there since it was taken before. `Untracked`: some of it is not followed."""
        return [(begin, until) for begin, until, _ in self._scan(start, end, _PROTECT | _CHECK, _WRITTEN)]

    def look(self, start: int, end: int) -> tuple[list[Range], list[Range]]:
        """What is there and was not written since it was taken, and what was."""
        same: list[Range] = []
        written: list[Range] = []
        for begin, until, kinds in self._scan(start, end, 0, 0):
            (written if kinds & _WRITTEN else same).append((begin, until))
        return same, written

    def _scan(self, start: int, end: int, flags: int, needed: int) -> Iterator[tuple[int, int, int]]:
        """Begin, end, and kind of ranges in memory (or swapped)."""
        while start < end:
            asked = [_ARGUMENT.size, flags, start, end, 0, ctypes.addressof(self._regions), _REGIONS, 0]
            asked += [0, needed, _THERE, _WRITTEN]
            buffer = ctypes.create_string_buffer(_ARGUMENT.pack(*asked), _ARGUMENT.size)
            found = _libc.ioctl(self._pagemap, _SCAN, ctypes.addressof(buffer))
            if found < 0:
                number = ctypes.get_errno()
                if number == errno.EPERM:
                    raise Untracked
                raise OSError(number, os.strerror(number), "PAGEMAP_SCAN")
            start = _ARGUMENT.unpack(buffer.raw)[4]
            yield from _REGION.iter_unpack(self._regions.raw[: found * _REGION.size])

    def _control(self, descriptor: int, request: int, argument: bytes) -> int:
        buffer = ctypes.create_string_buffer(argument, len(argument))
        result: int = _libc.ioctl(descriptor, request, ctypes.addressof(buffer))
        return result

    def close(self) -> None:
        os.close(self._descriptor)
