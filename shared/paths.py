"""Opening paths inside a folder that strangers write to."""

from __future__ import annotations

import ctypes
import os

RESOLVE_NO_MAGICLINKS, RESOLVE_IN_ROOT = 0x02, 0x10
_OPENAT2 = 437
_libc = ctypes.CDLL(None, use_errno=True)


class _How(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


def open_in_root(root: int, path: str, flags: int = os.O_PATH) -> int:
    """A descriptor of `path` as if the folder `root` were the file system's root: no link in it leads out.

    See openat2(2). Raises `OSError` naming the path.
    """
    how = _How(flags | os.O_CLOEXEC, 0, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS)
    size = ctypes.c_size_t(ctypes.sizeof(how))
    opened: int = _libc.syscall(_OPENAT2, root, os.fsencode(path or "."), ctypes.byref(how), size)
    if opened < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), path)
    return opened
