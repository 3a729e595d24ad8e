"""The gate: a process that has gone where criu is to work, and becomes criu, or has one there, that waits for its task.

All that takes time is done before the workload is frozen: the start of programs, joining control groups (on v1 the
kernel lets who joins wait), the network namespace. At the source the gate becomes a `criu swrk` that has the platform's
socket. At the target it stays beside one, for what it asks must be answered when the platform is gone, too; and until
the processes go on, the network namespace there says nothing. Both end when the platform is gone before it has said
anything.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import select
import socket
import struct
import sys

from . import priority, rpc

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

CLONE_NEWNET, CLONE_NEWCGROUP = 0x40000000, 0x02000000
HERE = b"here"
"""Said at the source before it becomes criu: who is frozen before would wait for it."""
PRIORITY = -20
"""What criu does others wait for, and it is little (nice(2)). Restored processes get their own back."""
STREAMS = 10
"""The standard streams it was started with get this number and the following; criu's own words go to a log."""
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1
_libc = ctypes.CDLL(None, use_errno=True)
_TABLE = "inet shoal-held"


def main() -> None:
    """`sys.argv[1]`: the configuration's path."""
    with open(sys.argv[1]) as file:
        config: dict[str, Any] = json.load(file)
    priority.give(PRIORITY)
    if config["socket"] >= 0:
        priority.rush()
        os.write(config["socket"], HERE)
        _become(config, config["socket"])
    _put_streams_aside(config["log"])
    silent = _is_elsewhere(config["network"])
    if silent:
        _enter_network(config["network"])
        _silence()
    go = os.open(config["go"], os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    child = os.fork()
    if not child:
        _become(config, theirs.fileno())
    theirs.close()
    _restore(ours, go, config, silent)
    os.waitpid(child, 0)  # its child is the monitor's from now on
    os._exit(0)  # the monitor waits for that, and the interpreter would tidy up for 6 ms


def _become(config: dict[str, Any], descriptor: int) -> None:
    """Goes there, and is criu."""
    for group in config["groups"]:
        with open(group, "w") as members:
            members.write(str(os.getpid()))
    if config["cgroup_namespace"]:  # whose root is the group it is in now
        _check(_libc.unshare(CLONE_NEWCGROUP), "cgroup namespace")
    _enter_network(config["network"])
    os.set_inheritable(descriptor, True)
    _take_real_ids(*config["ids"])
    os.execv(config["criu"], [config["criu"], "swrk", str(descriptor)])


def _restore(connection: socket.socket, go: int, config: dict[str, Any], silent: bool) -> None:
    """Has criu restore what it is told, and agree to nothing but the last word when all is there."""
    connection.send(_request(config["fifo"]))
    while (said := rpc.said(connection.recv(rpc.MOST))).kind == rpc.NOTIFY:
        agreed = True
        if said.action == "post-restore":
            agreed = _held(connection, go, said.pid, config)
            if agreed and silent:
                _nftables(f"delete table {_TABLE}")
        elif said.action == "post-resume":
            _write(config["runs"], "")
        connection.send(rpc.go_on(agreed))
    if not said.success:
        raise SystemExit(f"criu: {said.error or 'ended'}")


def _is_elsewhere(network: str) -> bool:
    """Whether this file is another network namespace than the host's, which must not be silent."""
    return bool(network) and not os.path.samefile(network, "/proc/self/ns/net")


def _silence() -> None:
    """Lets nothing out of this network namespace.

    Frames may come before its sockets are there, or when they are lost, and the kernel would refuse them (RST), which
    ends the connections of a container that goes on at its source.
    """
    chain = "type filter hook output priority raw; policy drop;"
    _nftables(f"add table {_TABLE}; add chain {_TABLE} silence {{ {chain} }}")


def _nftables(commands: str) -> None:
    """One transaction, by libnftables(3). Its socket stays open: closing it waits for the kernel to have destroyed what
    was deleted, 5 to 20 ms.
    """
    library = ctypes.CDLL("libnftables.so.1")
    library.nft_ctx_new.restype = ctypes.c_void_p
    context = ctypes.c_void_p(library.nft_ctx_new(0))
    if not context or library.nft_run_cmd_from_buffer(context, commands.encode()):
        raise SystemExit(f"nftables: {commands!r} failed")


def _request(path: str) -> bytes:
    fifo = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # the platform may be gone already
    os.set_blocking(fifo, True)
    with open(fifo) as told:
        line = told.readline()
    if not line.endswith("\n"):
        raise SystemExit("nobody is left who could say what to do")
    return bytes.fromhex(line)


def _held(connection: socket.socket, go: int, pid: int, config: dict[str, Any]) -> bool:
    """All is there, sockets are still in repair mode, and a failure undoes everything: whether they are to run."""
    _write(config["pidfile"], str(pid))
    _write(config["held"], f"{pid}\n")
    waiting = select.poll()
    waiting.register(go, select.POLLIN)
    waiting.register(connection, 0)
    ready = dict(waiting.poll())
    return go in ready and os.read(go, 64) == b"go\n"


def _write(path: str, text: str) -> None:
    with open(path, "w") as file:
        file.write(text)


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
