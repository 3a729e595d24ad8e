"""System calls that Python's library lacks. All raise `OSError`; descriptors are close-on-exec."""

from __future__ import annotations

import ctypes
import os
import threading

CLONE_FS = 0x200
CLONE_NEWNS = 0x20000
RESOLVE_NO_MAGICLINKS = 0x02
RESOLVE_IN_ROOT = 0x10

_libc = ctypes.CDLL(None, use_errno=True)
_OPENAT2 = 437
_FSOPEN, _FSCONFIG, _FSMOUNT, _MOVE_MOUNT = 430, 431, 432, 429
_FSCONFIG_SET_FLAG, _FSCONFIG_SET_STRING, _FSCONFIG_CREATE = 0, 1, 6
_MOVE_MOUNT_F_EMPTY_PATH = 4
_OPEN_TREE, _MOUNT_SETATTR = 428, 442
_OPEN_TREE_CLONE, _AT_EMPTY_PATH = 1, 0x1000
_MOUNT_ATTR_RDONLY, _MOUNT_ATTR_NOSUID = 1, 2
TMPFS_MAGIC = 0x01021994
_PIDFD_GETFD = 438
IN_NONBLOCK_CLOEXEC = os.O_NONBLOCK | os.O_CLOEXEC


_BPF = {"x86_64": 321, "aarch64": 280}.get(os.uname().machine, 280)
_BPF_PROG_LOAD, _BPF_PROG_ATTACH = 5, 8
_BPF_PROG_TYPE_CGROUP_DEVICE, _BPF_CGROUP_DEVICE, _BPF_F_ALLOW_MULTI = 15, 6, 2


class _BpfLoad(ctypes.Structure):
    """The beginning of `union bpf_attr` (linux/bpf.h); what follows counts as zero."""

    _fields_ = (
        ("kind", ctypes.c_uint32),
        ("instructions", ctypes.c_uint32),
        ("code", ctypes.c_uint64),
        ("license", ctypes.c_uint64),
        ("log_level", ctypes.c_uint32),
        ("log_size", ctypes.c_uint32),
        ("log", ctypes.c_uint64),
    )


class _BpfAttach(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_uint32) for name in ("group", "program", "kind", "flags"))


class _OpenHow(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


class _MountAttributes(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_uint64) for name in ("set", "clear", "propagation", "userns"))


def _check(result: int, what: str = "") -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)
    return int(result)


def unshare(flags: int) -> None:
    """Leaves shared parts of the calling thread's surroundings, see the manual page of unshare."""
    _check(_libc.unshare(flags))


def setns(descriptor: int, kind: int) -> None:
    """Moves the calling thread into a namespace, see the manual page of setns."""
    _check(_libc.setns(descriptor, kind))


def open_in_root(root: int, path: str, flags: int, mode: int = 0) -> int:
    """Opens `path` as if the folder `root` were the file system's root: no link in it leads out (openat2(2))."""
    how = _OpenHow(flags | os.O_CLOEXEC, mode, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS)
    result = _libc.syscall(_OPENAT2, root, os.fsencode(path), ctypes.byref(how), ctypes.sizeof(how))
    return _check(result, path)


def mount_long(kind: str, source: str, target: str, options: tuple[tuple[str, str], ...]) -> None:
    """A mount whose options are more than the one page that mount(2) takes (fsopen(2); overlay: Linux 6.7)."""
    context = _check(_libc.syscall(_FSOPEN, kind.encode(), 1), kind)
    try:
        for name, value in (("source", source), *options):
            command = _FSCONFIG_SET_STRING if value else _FSCONFIG_SET_FLAG
            arguments = (name.encode(), value.encode() if value else None, 0)
            _check(_libc.syscall(_FSCONFIG, context, command, *arguments), f"{name}={value}")
        _check(_libc.syscall(_FSCONFIG, context, _FSCONFIG_CREATE, None, None, 0), target)
        mounted = _check(_libc.syscall(_FSMOUNT, context, 1, 0), target)
    finally:
        os.close(context)
    try:
        moved = _libc.syscall(_MOVE_MOUNT, mounted, b"", -100, os.fsencode(target), _MOVE_MOUNT_F_EMPTY_PATH)
        _check(moved, target)
    finally:
        os.close(mounted)


def read_only_copy(path: str) -> int:
    """A descriptor of a file through a read-only mount that no mount namespace has (open_tree(2), Linux 5.12).

    Close-on-exec; the mount is gone with its last user.
    """
    flags = _OPEN_TREE_CLONE | os.O_CLOEXEC
    made = _check(_libc.syscall(_OPEN_TREE, -100, os.fsencode(path), flags), path)
    attributes = _MountAttributes(set=_MOUNT_ATTR_RDONLY | _MOUNT_ATTR_NOSUID)
    size = ctypes.sizeof(attributes)
    try:
        _check(_libc.syscall(_MOUNT_SETATTR, made, b"", _AT_EMPTY_PATH, ctypes.byref(attributes), size), path)
    except OSError:
        os.close(made)
        raise
    return made


def inotify(path: str, mask: int) -> int:
    """A non-blocking descriptor that becomes readable when something of `mask` happens to `path` (`watch_no_more`)."""
    descriptor = _check(_libc.inotify_init1(IN_NONBLOCK_CLOEXEC))
    try:
        _check(_libc.inotify_add_watch(descriptor, os.fsencode(path), mask), path)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def watch_no_more(descriptor: int) -> None:
    """Closes an `inotify`, at once for its reader: the kernel's own end of it takes 10 to 20 ms, in a thread."""
    threading.Thread(target=os.close, args=(descriptor,), daemon=True).start()


def file_system(path: str | os.PathLike[str]) -> int:
    """The magic number of the file system that a path is on (statfs(2))."""
    answer = (ctypes.c_long * 32)()
    _check(_libc.statfs(os.fsencode(path), answer), os.fspath(path))
    return int(answer[0])


def descriptor_of(process: int, number: int) -> int:
    """A copy of descriptor `number` of the process with that pidfd (pidfd_getfd(2), Linux 5.6)."""
    return _check(_libc.syscall(_PIDFD_GETFD, process, number, 0))


def load_device_program(instructions: bytes) -> int:
    """A descriptor of a program of type BPF_PROG_TYPE_CGROUP_DEVICE (bpf(2))."""
    code, license = ctypes.create_string_buffer(instructions, len(instructions)), ctypes.c_char_p(b"GPL")
    wanted = _BpfLoad(_BPF_PROG_TYPE_CGROUP_DEVICE, len(instructions) // 8, ctypes.addressof(code),
                      ctypes.cast(license, ctypes.c_void_p).value)  # fmt: skip
    return _check(_libc.syscall(_BPF, _BPF_PROG_LOAD, ctypes.byref(wanted), ctypes.sizeof(wanted)), "BPF_PROG_LOAD")


def attach_device_program(group: int, program: int) -> None:
    """For the control group (a descriptor of its folder) and as long as it is there, beside those it has."""
    wanted = _BpfAttach(group, program, _BPF_CGROUP_DEVICE, _BPF_F_ALLOW_MULTI)
    _check(_libc.syscall(_BPF, _BPF_PROG_ATTACH, ctypes.byref(wanted), ctypes.sizeof(wanted)), "BPF_PROG_ATTACH")
