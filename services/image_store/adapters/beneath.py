"""Opening paths inside a tree that strangers made: the kernel keeps them beneath its root (openat2(2))."""

from __future__ import annotations

import ctypes
import os

RESOLVE_NO_XDEV, RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS = 0x01, 0x02, 0x04
RESOLVE_BENEATH, RESOLVE_IN_ROOT = 0x08, 0x10
_SYS_OPENAT2 = 437  # the same number on all architectures
_libc = ctypes.CDLL(None, use_errno=True)


class _How(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


def open_directory(root: int, path: str, follow: bool) -> int:
    """A descriptor of the directory `path` beneath the directory `root`.

    `follow`: symbolic links inside are followed as if `root` were the root directory; else one on the way
    is an error. Raises `OSError`.
    """
    resolve = RESOLVE_IN_ROOT if follow else RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS
    how = _How(os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, 0, resolve | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV)
    name = os.fsencode(path or ".")
    opened: int = _libc.syscall(_SYS_OPENAT2, root, name, ctypes.byref(how), ctypes.c_size_t(ctypes.sizeof(how)))
    if opened < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), path)
    return opened
