"""The bare system calls of a container's start: overlay mount, network namespace, veth pair on a bridge."""

from __future__ import annotations

import ctypes
import os
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

from pyroute2 import IPRoute  # type: ignore[import-untyped]

CLONE_NEWNET = 0x40000000
MS_BIND = 4096
MNT_DETACH = 2
_libc = ctypes.CDLL(None, use_errno=True)


def _checked(result: int, what: str) -> None:
    if result != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{what}: {os.strerror(error)}")


def mount(source: str, target: Path, kind: str, flags: int = 0, options: str = "") -> None:
    """The system call of that name; raises OSError."""
    result = _libc.mount(source.encode(), str(target).encode(), kind.encode(), flags, options.encode())
    _checked(result, f"mount {target}")


def mount_overlay(target: Path, lower: Path, upper: Path, work: Path) -> None:
    """A writable view of lower."""
    mount("overlay", target, "overlay", 0, f"lowerdir={lower},upperdir={upper},workdir={work}")


def unmount(target: Path) -> None:
    """A lazy `umount2`; raises OSError."""
    _checked(_libc.umount2(str(target).encode(), MNT_DETACH), f"unmount {target}")


def new_network_namespace(path: Path, connect: Callable[[int, socket.socket], None] | None) -> None:
    """Makes a namespace and keeps it at path; `connect` gets a descriptor of it and a netlink socket inside it."""
    path.touch()
    with ThreadPoolExecutor(1) as inside:  # only that thread enters the namespace, and ends in it
        netlink = inside.submit(_unshare_network, path).result()
    with netlink, path.open() as handle:
        if connect is not None:
            connect(handle.fileno(), netlink)


def _unshare_network(path: Path) -> socket.socket:
    _checked(_libc.unshare(CLONE_NEWNET), "unshare")
    mount("/proc/thread-self/ns/net", path, "none", MS_BIND)
    return socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, 0)


class Bridge:
    """A bridge in the namespace of this process; connects other namespaces to it."""

    def __init__(self) -> None:
        self._route = IPRoute()
        self._lock = threading.Lock()
        self._numbers = count(2)
        self._route.link("add", ifname="floor0", kind="bridge")
        self.index = self._route.link_lookup(ifname="floor0")[0]
        self._route.addr("add", index=self.index, address="172.31.96.1", prefixlen=20)
        self._route.link("set", index=self.index, state="up")

    def connect(self, namespace: int, netlink: socket.socket) -> None:
        """veth pair, address and default route."""
        number = next(self._numbers)
        with self._lock:
            self._route.link(
                "add",
                ifname=f"fl{number}",
                kind="veth",
                master=self.index,
                state="up",
                peer={"ifname": "eth0", "net_ns_fd": namespace},
            )
        with IPRoute(use_socket=netlink) as inner:
            index = inner.link_lookup(ifname="eth0")[0]
            inner.addr("add", index=index, address=f"172.31.{96 + number // 256 % 16}.{number % 256}", prefixlen=20)
            for each in (1, index):
                inner.link("set", index=each, state="up")
            inner.route("add", dst="default", gateway="172.31.96.1")
