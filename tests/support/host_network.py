"""A network namespace that stands for the host: tests change its links, rules and sysctls as they like."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager

from services.network.adapters.netlink import Netlink
from services.network.adapters.rtnetlink import LOOPBACK, set_link

CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


@contextmanager
def own_host() -> Iterator[None]:
    """The calling thread, and threads made by it meanwhile, are on another host's network; `lo` is up there."""
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        if _libc.unshare(CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "unshare(CLONE_NEWNET)")
        netlink = Netlink()
        netlink.request(set_link(LOOPBACK, up=True))
        netlink.close()
        yield
    finally:
        _libc.setns(before, CLONE_NEWNET)
        os.close(before)
