"""Entering a network namespace, and what is in the kernel's tables of one."""

from __future__ import annotations

import ctypes
import functools
import os
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from services.network.adapters.nftables import Nftables

CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def enter_network(namespace: Path) -> None:
    """Moves the calling thread for good: use a thread made for this."""
    descriptor = os.open(namespace, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if _libc.setns(descriptor, CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"setns {namespace}")
    finally:
        os.close(descriptor)


@functools.cache
def links_of_the_kernel() -> tuple[str, ...]:
    """What each new network namespace has: `lo`, and `sit0` and the like where their drivers are there."""

    def names() -> tuple[str, ...]:
        if _libc.unshare(CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "unshare")
        return tuple(name for _, name in socket.if_nameindex())

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(names).result()


def socket_in(namespace: Path, kind: socket.SocketKind, family: socket.AddressFamily = socket.AF_INET) -> socket.socket:
    """A socket made in another network namespace, where it stays."""

    def make() -> socket.socket:
        enter_network(namespace)
        made = socket.socket(family, kind)
        made.settimeout(60)
        return made

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(make).result()


def ruleset(namespace: Path) -> str:
    """All of its nftables."""

    def listed() -> str:
        enter_network(namespace)
        return Nftables().run("list ruleset")

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(listed).result()
