"""Network namespaces: made by a thread of their own, pinned as files, joined by path.

A namespace that is not pinned dies with the last descriptor of it: what this service prepares ahead leaves
nothing behind, however it ends. The kernel takes the veth pair away with its namespace, in its own time.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from shared import hostmounts

from . import sysctl
from .netlink import Netlink
from .rtnetlink import LOOPBACK, set_link

CLONE_NEWNET = 0x40000000
_OWN = "/proc/thread-self/ns/net"
_libc = ctypes.CDLL(None, use_errno=True)
T = TypeVar("T")


@dataclass
class Namespace:
    """One network namespace and a netlink socket in it; both are this object's until `close`."""

    descriptor: int
    netlink: Netlink

    def pin(self, path: Path) -> None:
        """Gives the namespace a file to join it by; it then lives until `unpin`."""
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o400))
        try:
            hostmounts.mount(f"/proc/self/fd/{self.descriptor}", path, flags=hostmounts.MS_BIND)
        except OSError:
            path.unlink()
            raise

    def run(self, work: Callable[[], T]) -> T:
        """The result of work done by a thread in the namespace. Raises `OSError`."""

        def entered() -> T:
            _enter(self.descriptor)
            return work()

        return _in_thread(entered)

    def close(self) -> None:
        self.netlink.close()
        os.close(self.descriptor)


def create() -> Namespace:
    """A namespace with `lo` up, and without IPv6 but on `lo`, as networks without IPv6 have it."""

    def work() -> Namespace:
        if _libc.unshare(CLONE_NEWNET) < 0:
            raise OSError(ctypes.get_errno(), "cannot make a network namespace: unshare(CLONE_NEWNET) failed")
        sysctl.write("ipv6/conf/default/disable_ipv6", "1")
        namespace = _here()
        namespace.netlink.request(set_link(LOOPBACK, up=True))
        return namespace

    return _in_thread(work)


def enter(path: Path) -> Namespace:
    """The pinned namespace of that file. Raises `OSError`."""
    return inside(path, _here)


def inside(path: Path, work: Callable[[], T]) -> T:
    """The result of work done by a thread in the pinned namespace: sockets it makes stay there. Raises `OSError`."""

    def run() -> T:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            _enter(descriptor)
        finally:
            os.close(descriptor)
        return work()

    return _in_thread(run)


def _enter(descriptor: int) -> None:
    if _libc.setns(descriptor, CLONE_NEWNET) < 0:
        raise OSError(ctypes.get_errno(), "cannot enter a network namespace: setns(CLONE_NEWNET) failed")


def unpin(path: Path) -> None:
    """Takes the file away; the namespace ends when nobody else is in it. Nothing to do is fine."""
    try:
        hostmounts.unmount(path)
    except OSError:
        pass  # not mounted, or gone
    path.unlink(missing_ok=True)


def is_pinned(path: Path) -> bool:
    """Whether the file holds a namespace (after a reboot it is only a file)."""
    try:
        return path.stat().st_dev != path.parent.stat().st_dev
    except FileNotFoundError:
        return False


def _here() -> Namespace:
    return Namespace(os.open(_OWN, os.O_RDONLY | os.O_CLOEXEC), Netlink())


class _Outcome(Generic[T]):
    value: T
    error: BaseException | None = None


def _in_thread(work: Callable[[], T]) -> T:
    """Runs work in a fresh thread, which ends with it: it never has to find its way back to the host's namespace."""
    outcome: _Outcome[T] = _Outcome()

    def run() -> None:
        try:
            outcome.value = work()
        except OSError as error:
            outcome.error = error

    thread = threading.Thread(target=run, name="network-namespace")
    thread.start()
    thread.join()
    if outcome.error is not None:
        raise outcome.error
    return outcome.value
