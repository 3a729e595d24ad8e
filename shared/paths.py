"""Opening paths inside a folder that strangers write to."""

from __future__ import annotations

import ctypes
import os

RESOLVE_NO_XDEV, RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS = 0x01, 0x02, 0x04
RESOLVE_BENEATH, RESOLVE_IN_ROOT = 0x08, 0x10
_OPENAT2 = 437
_libc = ctypes.CDLL(None, use_errno=True)


class _How(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


def open_in_root(root: int, path: str, flags: int = os.O_PATH, mode: int = 0) -> int:
    """A descriptor of `path` as if the folder `root` were the file system's root: no link in it leads out.

    See openat2(2). Raises `OSError` naming the path.
    """
    return _openat2(root, path, flags, mode, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS)


def open_beneath(root: int, path: str, flags: int = os.O_PATH, across_mounts: bool = False) -> int:
    """A descriptor of `path` beneath the folder `root`, found without following any link; the root itself for "".

    Unless `across_mounts`, nothing that is mounted below is entered (EXDEV). Raises `OSError` naming the path.
    """
    return _openat2(
        root, path, flags, 0, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | (0 if across_mounts else RESOLVE_NO_XDEV)
    )


def _openat2(root: int, path: str, flags: int, mode: int, resolve: int) -> int:
    how = _How(flags | os.O_CLOEXEC, mode, resolve)
    size = ctypes.c_size_t(ctypes.sizeof(how))
    opened: int = _libc.syscall(_OPENAT2, root, os.fsencode(path or "."), ctypes.byref(how), size)
    if opened < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), path)
    return opened
