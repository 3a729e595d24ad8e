"""Giving up what unpacking does not need: the network, the host's tree, capabilities."""

from __future__ import annotations

import ctypes
import os
import resource

CLONE_NEWNS, CLONE_NEWIPC, CLONE_NEWNET = 0x00020000, 0x08000000, 0x40000000
CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FOWNER, CAP_FSETID, CAP_SYS_CHROOT, CAP_MKNOD, CAP_SETFCAP = 0, 1, 3, 4, 18, 27, 31
WRITING = (CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FOWNER, CAP_FSETID, CAP_MKNOD, CAP_SETFCAP)
"""What it takes to give files any owner, mode, kind and capability (capabilities(7))."""
NOBODY = 65534
_PR_SET_PDEATHSIG, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 1, 24, 38
_VERSION_3 = 0x20080522
_SIGKILL = 9
_libc = ctypes.CDLL(None, use_errno=True)


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Sets(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def die_with_parent() -> None:
    """Ends this process with SIGKILL when its parent ends."""
    _check(_libc.prctl(_PR_SET_PDEATHSIG, _SIGKILL, 0, 0, 0), "prctl")


def leave_network() -> None:
    """A network and IPC of its own, with nothing in it."""
    _check(_libc.unshare(CLONE_NEWNET | CLONE_NEWIPC), "unshare")


def leave_mounts() -> None:
    """Mounts of its own: what it mounts from now on nobody else sees, once they are made private."""
    _check(_libc.unshare(CLONE_NEWNS), "unshare")


def enter_mounts(namespace: int) -> None:
    """Goes to the mounts of another namespace, and to its root."""
    _check(_libc.setns(namespace, CLONE_NEWNS), "setns")


def enter_root(path: str) -> None:
    """Makes a directory the root; the caller holds no descriptor of a directory outside it."""
    os.chroot(path)
    os.chdir("/")


def keep_capabilities(kept: tuple[int, ...]) -> None:
    """Drops all others for good, those a later program would get included."""
    _check(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl")
    header, sets = _Header(_VERSION_3, 0), (_Sets * 2)()
    _check(_libc.capget(ctypes.byref(header), sets), "capget")
    _bound(kept)
    mask = sum(1 << number for number in kept)
    for word, part in enumerate(sets):
        part.permitted &= (mask >> (32 * word)) & 0xFFFFFFFF
        part.effective, part.inheritable = part.permitted, 0
    _check(_libc.capset(ctypes.byref(header), sets), "capset")


def _bound(kept: tuple[int, ...]) -> None:
    """What no later program can get back."""
    for number in range(64):
        if number not in kept:
            _libc.prctl(_PR_CAPBSET_DROP, number, 0, 0, 0)  # refused for numbers the kernel does not have


def limit_memory(most_bytes: int) -> None:
    """Address space and core files; a decompressor that wants more gets `MemoryError`."""
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    most = most_bytes if hard == resource.RLIM_INFINITY else min(most_bytes, hard)
    resource.setrlimit(resource.RLIMIT_AS, (most, hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def become_nobody() -> None:
    """Gives up root for a user that owns nothing; with it go all capabilities."""
    _bound(())  # while it is allowed to
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)
    keep_capabilities(())
