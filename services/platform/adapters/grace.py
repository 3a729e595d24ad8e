"""The kernel's wait before a process is moved to a control group, begun early.

Before it moves a process the kernel makes forks and ends take another path, and waits until all take it: an RCU grace
period, 7 to 15 ms. For about as long afterwards nobody has to wait (kernel/cgroup/cgroup.c, cgroup_attach_lock;
kernel/rcu/sync.c). The runtime comes to its move some 5 ms after a workload was asked for: this is waited meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path


class Grace:
    """Moves this very process to where it is. Control groups v1 only: of v2's runtimes nothing is known."""

    def __init__(self, mount: Path, membership: Path = Path("/proc/self/cgroup")) -> None:
        self._files = own(mount, membership.read_text())
        self._thread = ThreadPoolExecutor(1, "grace")
        self._waiting: asyncio.Future[None] | None = None

    def begin(self) -> None:
        """Returns at once. While one wait lasts no other is begun: it serves all."""
        if self._files and (self._waiting is None or self._waiting.done()):
            self._waiting = asyncio.get_running_loop().run_in_executor(self._thread, self._wait)

    def _wait(self) -> None:
        with contextlib.suppress(OSError):  # then the runtime waits itself
            self._files[0].write_text(str(os.getpid()))

    def close(self) -> None:
        self._thread.shutdown(wait=True)


def own(mount: Path, membership: str) -> list[Path]:
    """The files that move a process into the v1 groups that this membership (cgroups(7), /proc/PID/cgroup) names."""
    fields = [line.split(":", 2) for line in membership.splitlines()]
    files = [
        mount / names.removeprefix("name=") / group.lstrip("/") / "cgroup.procs" for _, names, group in fields if names
    ]
    return [file for file in files if file.exists()]
