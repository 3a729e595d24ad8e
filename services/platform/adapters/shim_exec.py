"""An exec that the shim made, as the platform watches it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from shared import clock

from ..domain.lifecycle import Ended
from . import bundle, syscalls
from .pipes import Pipes
from .workload import Watched

_MOVED_TO = 0x80
"""IN_MOVED_TO: the exit code is there as a whole."""


class ShimExec(Watched):
    """Its end is told by the shim. One found again after the platform's own death is told by its exit file."""

    def __init__(self, record: bundle.Record, folder: Path, descriptors: list[int] | None = None) -> None:
        """`descriptors` of its streams, None for one found again."""
        super().__init__(record, folder)
        self._found_again = descriptors is None
        self.pipes = Pipes(descriptors, record.tty, self.ended) if descriptors else None
        self._notice = -1

    def watch(self, told: Callable[[], object]) -> None:
        self.ended.add_done_callback(lambda future: future.cancelled() or told())
        if self._found_again:
            self._notice = syscalls.inotify(str(self.folder), _MOVED_TO)
            asyncio.get_running_loop().add_reader(self._notice, self._look)
            self._look()
            if self._monitor is None:
                self.lost()
            else:
                self._monitor.on_end(self.lost)

    def _look(self) -> None:
        if (status := bundle.exit_status(self.folder)) is not None:
            self._end(Ended(*status))
            self._forget_notice()

    def finish(self, code: int) -> None:
        """The shim tells its end."""
        self._end(Ended(code, clock.now_ns()))

    def lost(self) -> None:
        """Nobody is there to tell its end."""
        self._forget_notice()
        status = bundle.exit_status(self.folder)
        if status is not None:
            self._end(Ended(*status))
        elif self._init is not None:
            self._init.on_end(self._end_unknown)
        else:
            self._end_unknown()

    def _forget_notice(self) -> None:
        if self._notice >= 0:
            asyncio.get_running_loop().remove_reader(self._notice)
            syscalls.watch_no_more(self._notice)
            self._notice = -1

    def resize(self, height: int, width: int) -> None:
        if self.pipes is not None:
            self.pipes.resize(height, width)

    def close(self) -> None:
        self._forget_notice()
        super().close()
