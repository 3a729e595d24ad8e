"""System calls that Python's library lacks. All raise `OSError`."""

from __future__ import annotations

import ctypes
import os

CLONE_INTO_CGROUP = 0x200000000
CLONE_PIDFD = 0x1000
NAMESPACES = 0x20000 | 0x04000000 | 0x08000000 | 0x40000000 | 0x02000000
"""Mount, UTS, IPC, network, cgroup."""
PID_NAMESPACE = 0x20000000
SECCOMP_SPEC_ALLOW = 4

_libc = ctypes.CDLL(None, use_errno=True)
_holding = ctypes.PyDLL(None, use_errno=True)
"""Keeps the interpreter's lock over a call: nothing may happen between a clone and the next line."""
_NR: dict[str, dict[str, int]] = {
    "x86_64": {"seccomp": 317, "keyctl": 250, "capset": 126, "setgroups": 116, "setresuid": 117, "setresgid": 119},
    "aarch64": {"seccomp": 277, "keyctl": 219, "capset": 91, "setgroups": 159, "setresuid": 147, "setresgid": 149},
}
_CLONE3 = 435
_NUMBERS = _NR.get(os.uname().machine, _NR["aarch64"])
_SET_DUMPABLE, _SET_KEEPCAPS, _SET_NAME, _CAPBSET_DROP, _SET_NO_NEW_PRIVS, _CAP_AMBIENT = 4, 8, 15, 24, 38, 47
_AMBIENT_CLEAR_ALL = 4
_SECCOMP_SET_MODE_FILTER = 1
_JOIN_SESSION_KEYRING = 1
_CAPABILITY_VERSION_3 = 0x20080522
_HIGHEST_CAPABILITY = 63
SIGCHLD = 17


class _CloneArgs(ctypes.Structure):
    _fields_ = tuple(
        (name, ctypes.c_uint64)
        for name in (
            "flags", "pidfd", "child_tid", "parent_tid", "exit_signal", "stack", "stack_size", "tls", "set_tid",
            "set_tid_size", "cgroup",
        )
    )  # fmt: skip


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


class _CapabilityHeader(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _CapabilityData(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


def _check(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def clone(cgroup: int = -1) -> tuple[int, int]:
    """As fork(2), into a cgroup v2 (a descriptor of its folder) when one is given: pid and pidfd of the child.

    (0, -1) in the child. For a process with one thread that executes another program soon (clone3(2)).
    """
    pidfd = ctypes.c_int(-1)
    arguments = _CloneArgs(flags=CLONE_PIDFD, pidfd=ctypes.addressof(pidfd), exit_signal=SIGCHLD)
    if cgroup >= 0:
        arguments.flags |= CLONE_INTO_CGROUP
        arguments.cgroup = cgroup
    pid = _check(_holding.syscall(_CLONE3, ctypes.byref(arguments), ctypes.sizeof(arguments)))
    return pid, pidfd.value if pid else -1


def setns(descriptor: int, kinds: int) -> None:
    """Joins namespaces of the process behind a pidfd, or the one behind a descriptor of a namespace."""
    _check(_libc.setns(descriptor, kinds))


def leave_keyring() -> None:
    """Takes a new session keyring instead of the host's; a kernel without keyrings has none to leak."""
    _libc.syscall(_NUMBERS["keyctl"], _JOIN_SESSION_KEYRING, None)


def filter_calls(program: bytes) -> None:
    """Installs a compiled system call filter (struct sock_filter, 8 bytes each)."""
    holder = _Program(len(program) // 8, program)
    arguments = (_SECCOMP_SET_MODE_FILTER, SECCOMP_SPEC_ALLOW, ctypes.byref(holder))
    _check(_libc.syscall(_NUMBERS["seccomp"], *arguments))


def bound(kept: int) -> None:
    """Takes every capability that is not in the mask out of the bounding set."""
    for number in range(_HIGHEST_CAPABILITY + 1):
        if not kept >> number & 1 and _libc.prctl(_CAPBSET_DROP, number, 0, 0, 0) < 0:
            _check(-1 if ctypes.get_errno() != 22 else 0)  # EINVAL: the kernel does not know so many


def become_user(uid: int, gid: int, groups: list[int]) -> None:
    """Of this thread alone: the C library's calls wait for threads that a clone does not have."""
    listed = (ctypes.c_uint32 * len(groups))(*groups)
    _check(_libc.syscall(_NUMBERS["setgroups"], len(groups), listed))
    _check(_libc.syscall(_NUMBERS["setresgid"], *[ctypes.c_uint32(gid)] * 3))
    _check(_libc.syscall(_NUMBERS["setresuid"], *[ctypes.c_uint32(uid)] * 3))


def keep_capabilities() -> None:
    """Over the change to another user."""
    _check(_libc.prctl(_SET_KEEPCAPS, 1, 0, 0, 0))


def set_capabilities(effective: int, permitted: int, inheritable: int) -> None:
    """Of this thread, by masks; the ambient set is emptied."""
    header = _CapabilityHeader(_CAPABILITY_VERSION_3, 0)
    data = (_CapabilityData * 2)(
        *(
            _CapabilityData(*(mask >> shift & 0xFFFFFFFF for mask in (effective, permitted, inheritable)))
            for shift in (0, 32)
        )
    )
    _check(_libc.syscall(_NUMBERS["capset"], ctypes.byref(header), ctypes.byref(data)))
    _libc.prctl(_CAP_AMBIENT, _AMBIENT_CLEAR_ALL, 0, 0, 0)


def no_new_privileges() -> None:
    """For this process and all that it becomes."""
    _check(_libc.prctl(_SET_NO_NEW_PRIVS, 1, 0, 0, 0))


def hide() -> None:
    """Nobody without CAP_SYS_PTRACE over the host may look into this process or its children before they execute."""
    _check(_libc.prctl(_SET_DUMPABLE, 0, 0, 0, 0))


def name(text: str) -> None:
    """What ps(1) shows."""
    _libc.prctl(_SET_NAME, text.encode(), 0, 0, 0)
