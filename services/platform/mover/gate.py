"""The gate: a process that has gone where criu is to work, and becomes criu when it is told how.

All that takes time is done before the workload is frozen: the start of a program, joining control groups (on v1 the
kernel lets who joins wait), the network namespace. It ends when the platform is gone before it has said anything.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import socket
import struct
import sys

from . import priority

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

CLONE_NEWNET, CLONE_NEWCGROUP = 0x40000000, 0x02000000
PRIORITY = -20
"""What criu does others wait for, and it is little (nice(2)). Restored processes get their own back."""
STREAMS = 10
"""The standard streams it was started with get this number and the following; criu's own words go to a log."""
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1
_libc = ctypes.CDLL(None, use_errno=True)


def main() -> None:
    """`sys.argv[1]`: the configuration's path."""
    with open(sys.argv[1]) as file:
        config: dict[str, Any] = json.load(file)
    priority.raise_to(PRIORITY)
    for group in config["groups"]:
        with open(group, "w") as members:
            members.write(str(os.getpid()))
    if config["cgroup_namespace"]:  # whose root is the group it is in now
        _check(_libc.unshare(CLONE_NEWCGROUP), "cgroup namespace")
    _enter_network(config["network"])
    if config["streams"]:
        _put_streams_aside(config["log"])
    fifo = os.open(config["fifo"], os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # the platform may be gone already
    os.set_blocking(fifo, True)
    with open(fifo) as told:
        line = told.readline()
    if not line.endswith("\n"):
        raise SystemExit("nobody is left who could say what to do")
    words = json.loads(line)
    _take_real_ids(*config["ids"])
    os.execve(words[0], words, os.environ | {"SHOAL_BUNDLE": os.path.dirname(config["fifo"])})


def _take_real_ids(user: int, group: int) -> None:
    """Real ids only, effective ones stay root's: who has a process's real ids may ask for its limits (prlimit(2)).

    Else it takes CAP_SYS_RESOURCE.
    """
    os.setresgid(group, 0, 0)
    os.setresuid(user, 0, 0)


def _enter_network(path: str) -> None:
    """Into the namespace of that file; an empty name: a new one, with its loopback link up."""
    if path:
        with open(path) as file:
            _check(_libc.setns(file.fileno(), CLONE_NEWNET), path)
    else:
        _check(_libc.unshare(CLONE_NEWNET), "network namespace")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
            request = struct.pack("16sH22x", b"lo", 0)
            flags = struct.unpack("16sH22x", fcntl.ioctl(asking, _SIOCGIFFLAGS, request))[1]
            fcntl.ioctl(asking, _SIOCSIFFLAGS, struct.pack("16sH22x", b"lo", flags | _IFF_UP))


def _check(result: int, what: str) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)


def _put_streams_aside(log: str) -> None:
    for number in range(3):
        os.dup2(number, STREAMS + number)
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    for number in (1, 2):
        os.dup2(out, number)
