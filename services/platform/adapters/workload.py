"""One workload, or one exec in it, as the running platform holds it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable
from pathlib import Path

from shared import clock
from shared.errors import Conflict

from ..domain.lifecycle import UNKNOWN_EXIT, Ended, State
from . import attach, bundle, monitor, process

JOIN_SECONDS = 1.0


class Watched:
    """A first process and its monitor. `ended` is done when the monitor has written everything and is gone."""

    def __init__(self, record: bundle.Record, folder: Path) -> None:
        self.record, self.folder = record, folder
        self.ended: asyncio.Future[Ended] = asyncio.get_running_loop().create_future()
        self.known = asyncio.Event()
        """Set when its end was told: who is asked from then on knows it."""
        self.silent = False
        """Nobody is told of its end: it has gone to another host."""
        self.clients = 0
        """Connections to its monitor so far."""
        self._init = process.alive(record.pid, record.pid_start)
        self._monitor = process.alive(record.monitor, record.monitor_start)

    def watch(self, told: Callable[[], object]) -> None:
        """Calls `told` once when it has ended; at once for one that had ended before."""
        self.ended.add_done_callback(lambda future: future.cancelled() or told())
        if self._monitor is None:
            self._monitor_gone()
        else:
            self._monitor.on_end(self._monitor_gone)

    def _monitor_gone(self) -> None:
        process.reap(self.record.monitor)
        status = bundle.exit_status(self.folder)
        if status is not None:
            self._end(Ended(*status, bundle.oom_killed(self.folder)))
        elif self._init is not None:
            self._init.on_end(self._end_unknown)  # the monitor was killed, the process goes on
        else:
            self._end_unknown()

    def _end_unknown(self) -> None:
        self._end(Ended(UNKNOWN_EXIT, clock.now_ns(), bundle.oom_killed(self.folder)))

    def _end(self, ended: Ended) -> None:
        if not self.ended.done():
            self.ended.set_result(ended)

    @property
    def monitored(self) -> bool:
        """Whether the monitor lives, and with it its mount namespace."""
        return self._monitor is not None and process.start_time(self.record.monitor) == self.record.monitor_start

    def join(self) -> socket.socket:
        """A connection to the monitor's attach socket. `OSError` when the monitor is just ending."""
        connection = attach.connect_now(self.folder)
        self.clients += 1
        return connection

    async def joined(self) -> None:
        """Waits until the monitor has taken all connections; one that stands first in line is never late.

        The monitor takes one for each turn of its loop, and output between two turns reaches only those taken.
        """
        limit = asyncio.get_running_loop().time() + JOIN_SECONDS
        while self.clients > 1 and process.sockets(self.record.monitor) <= self.clients:
            if asyncio.get_running_loop().time() > limit:
                return
            await asyncio.sleep(0.001)  # nothing tells when a connection is accepted

    def send(self, number: int) -> None:
        """Signals the first process; nothing when it has just ended."""
        with contextlib.suppress(ProcessLookupError):
            if self._init is not None:
                self._init.send(number)

    @property
    def first(self) -> int:
        """pidfd of the first process; `Conflict` when it is gone."""
        if self._init is None:
            raise Conflict(f"Container {self.record.id} is not running")
        return self._init.descriptor

    def resize(self, height: int, width: int) -> None:
        """Gives the terminal a new size; nothing when it has just ended."""
        monitor.resize(self.folder, height, width)

    def close(self) -> None:
        """Stops watching; the workload is not touched."""
        for handle in (self._init, self._monitor):
            if handle is not None:
                handle.close()
        self.ended.cancel()


class Workload(Watched):
    """A container's processes."""

    def __init__(self, record: bundle.Record, folder: Path, waits: bool, paused: bool = False) -> None:
        super().__init__(record, folder)
        self.waits, self.paused = waits, paused
        self.leaving = False
        """Frozen to be moved to another host."""
        self.lock = asyncio.Lock()
        self.execs: dict[str, Watched] = {}

    @property
    def state(self) -> State:
        if self.ended.done():
            return "stopped"
        if self.waits:
            return "created"
        if self.leaving:
            return "leaving"
        return "paused" if self.paused else "running"
