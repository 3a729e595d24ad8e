"""Threads that start monitors, each time in a mount namespace made for that one monitor.

The root file system of a workload is mounted there and nowhere else: it vanishes with the monitor, so nothing
can leak, and a host with hundreds of workloads has no more mounts than an idle one. On a hybrid control group
host the empty cgroup2 is unmounted in it, because crun refuses the mix. The process itself stays in the host's.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from pathlib import Path
from typing import TypeVar

from shared import hostmounts
from shared.config import Settings

from . import syscalls

T = TypeVar("T")
THREADS = 8
"""Creations at once; more would only share the same processors."""
UNIFIED = Path("/sys/fs/cgroup/unified")


class Launcher:
    """Runs blocking work in threads, in a fresh mount namespace or in that of a running monitor."""

    def __init__(self, hybrid: bool) -> None:
        self._hybrid = hybrid
        self._host = os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
        self._threads = ThreadPoolExecutor(THREADS, "launcher", initializer=_own_file_system_view)

    def fresh(self, work: Callable[[], T]) -> asyncio.Future[T]:
        """Runs `work` in a thread, in a copy of the host's mount namespace. What it spawns stays there."""
        return self._run(partial(self._in_fresh, work))

    def beside(self, monitor: int, work: Callable[[], T]) -> asyncio.Future[T]:
        """Runs `work` in a thread, in the mount namespace of the process `monitor`."""
        return self._run(partial(self._in_that_of, monitor, work))

    def plain(self, work: Callable[[], T]) -> asyncio.Future[T]:
        """Runs blocking work in a thread, in the host's mount namespace."""
        return self._run(work)

    def _run(self, work: Callable[[], T]) -> asyncio.Future[T]:
        """In the context of the caller, so that its spans stay in the caller's trace."""
        in_context = partial(copy_context().run, work)
        return asyncio.get_running_loop().run_in_executor(self._threads, in_context)

    def _in_fresh(self, work: Callable[[], T]) -> T:
        syscalls.unshare(syscalls.CLONE_NEWNS)
        try:
            if self._hybrid:
                hostmounts.mount("", UNIFIED.parent, flags=hostmounts.MS_PRIVATE)
                hostmounts.unmount(UNIFIED)
            return work()
        finally:
            syscalls.setns(self._host, syscalls.CLONE_NEWNS)

    def _in_that_of(self, monitor: int, work: Callable[[], T]) -> T:
        try:
            namespace = os.open(f"/proc/{monitor}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise ProcessLookupError(monitor) from None
        try:
            syscalls.setns(namespace, syscalls.CLONE_NEWNS)
        finally:
            os.close(namespace)
        try:
            return work()
        finally:
            syscalls.setns(self._host, syscalls.CLONE_NEWNS)

    def close(self) -> None:
        self._threads.shutdown(wait=True)
        os.close(self._host)


def _own_file_system_view() -> None:
    """Only a thread that shares its working folder with no other may change its mount namespace (setns(2))."""
    assert threading.current_thread() is not threading.main_thread()
    syscalls.unshare(syscalls.CLONE_FS)


def ensure_private(path: Path) -> None:
    """Makes `path` a mount that propagates nothing, where the host would propagate. Idempotent.

    The one mount of the platform on the host: below it each monitor's namespace mounts its root alone.
    """
    path.mkdir(parents=True, exist_ok=True, mode=0o710)
    point, shared, _ = hostmounts.mount_of(path)
    if not shared:
        return
    if point != os.path.realpath(path):
        hostmounts.mount(str(path), path, flags=hostmounts.MS_BIND)
    hostmounts.mount("", path, flags=hostmounts.MS_PRIVATE)


def is_hybrid() -> bool:
    """Whether cgroup v1 and v2 are both mounted, with controllers held by the second."""
    try:
        return bool((UNIFIED / "cgroup.controllers").read_text().strip())
    except OSError:
        return False


def roots_dir(settings: Settings) -> Path:
    """Below it the root file systems are mounted."""
    return settings.run_path / "platform" / "roots"
