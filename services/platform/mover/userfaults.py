"""One process's page faults and changes of its mappings, and the pages that it is given.

See userfaultfd(2) and ioctl_userfaultfd(2). While anybody has the descriptor open, who touches a page that is not there
waits for it.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from typing import NamedTuple

from .store import PAGE

FAULT, FORK, REMAP, REMOVE, UNMAP = 0x12, 0x13, 0x14, 0x15, 0x16
_COPY, _ZERO, _WAKE = 0xC028AA03, 0xC020AA04, 0x8010AA02
_MESSAGE = struct.Struct("=B7xQQQ")
_libc = ctypes.CDLL(None, use_errno=True)
_libc.ioctl.argtypes = (ctypes.c_int, ctypes.c_ulong, ctypes.c_void_p)


class Event(NamedTuple):
    """`FAULT`: flags, address. `FORK`: a descriptor of the child's. `REMAP`: from, to, length. `REMOVE` and `UNMAP`:
    from, to.
    """

    kind: int
    first: int
    second: int
    third: int


class _Asked(ctypes.Structure):
    _fields_ = (
        ("address", ctypes.c_uint64),
        ("source", ctypes.c_uint64),
        ("length", ctypes.c_uint64),
        ("mode", ctypes.c_uint64),
        ("done", ctypes.c_int64),
    )


class _Range(ctypes.Structure):
    _fields_ = (
        ("address", ctypes.c_uint64),
        ("length", ctypes.c_uint64),
        ("mode", ctypes.c_uint64),
        ("done", ctypes.c_int64),
    )


def event(descriptor: int) -> Event | None:
    """The next; None: there is none now."""
    try:
        return Event(*_MESSAGE.unpack(os.read(descriptor, _MESSAGE.size)))
    except BlockingIOError:
        return None


def place(descriptor: int, address: int, source: int, length: int) -> int:
    """Gives it pages that are at `source` in this process. How many bytes need not be given any more.

    `BlockingIOError`: its mappings are changing, which is told as an event. `ProcessLookupError`: it has ended.
    """
    while True:
        asked = _Asked(address, source, length, 0, 0)
        if _libc.ioctl(descriptor, _COPY, ctypes.addressof(asked)) == 0:
            return length
        if asked.done > 0:
            return int(asked.done)
        number = ctypes.get_errno()
        if number != errno.ENOENT or length == PAGE:
            return _refused(descriptor, address, number)
        length = max(PAGE, length // 2 // PAGE * PAGE)  # it is no longer one mapping


def zero(descriptor: int, address: int) -> int:
    """As `place`, a page that was never used."""
    asked = _Range(address, PAGE, 0, 0)
    if _libc.ioctl(descriptor, _ZERO, ctypes.addressof(asked)):
        return _refused(descriptor, address, ctypes.get_errno())
    return PAGE


def _refused(descriptor: int, address: int, number: int) -> int:
    if number in (errno.EEXIST, errno.ENOENT):  # it is there already; nothing is mapped there, or not for us
        asked = _Range(address, PAGE, 0, 0)
        _libc.ioctl(descriptor, _WAKE, ctypes.addressof(asked))
        return PAGE
    if number == errno.ENOSPC:  # as the kernel says it of a process that has ended
        number = errno.ESRCH
    raise OSError(number, os.strerror(number), "a page cannot be placed")
