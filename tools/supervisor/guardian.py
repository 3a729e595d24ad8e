"""The guardian: a shell that waits for the supervisor's death and starts another one.

At first it blocks in a read from a pipe whose other end only the supervisor holds: the end of the pipe is the
supervisor's death, however it came; the word `stop` is its leave. From then on it is the parent of the supervisors
that it starts, and waits for them. Supervisors in turn watch their guardian. Nothing polls, and it weighs no more
than a shell.
"""

from __future__ import annotations

import contextlib
import os
import select
from collections.abc import Sequence
from pathlib import Path

from . import child, records

NAME = "guardian"
VARIABLE = "SHOAL_GUARDIAN"
STOP = b"stop\n"
REFUSED = 2
"""Exit code of a supervisor that must not be started again: what it needs is wrong or belongs to another one."""
PATIENCE = 5.0
SCRIPT = f"""
read -r word && exit
while :; do
    {VARIABLE}=$$ "$@"
    case $? in
        0 | {REFUSED}) exit ;;
        1) sleep 2 ;;
        *) sleep 0.05 ;;
    esac
done
"""


class Guardian:
    """The supervisor's side: a descriptor that is readable once the guardian is dead, and the leave-taking."""

    def __init__(self, pidfd: int, writing: int | None = None) -> None:
        self.pidfd = pidfd
        self._writing = writing

    @classmethod
    def parent(cls, where: Path) -> Guardian | None:
        """The guardian that started this process, if one did and lives."""
        record = records.read(where, NAME)
        if record is None or os.environ.get(VARIABLE) != str(record.pid) or os.getppid() != record.pid:
            return None
        pidfd = records.open_pidfd(record)
        return cls(pidfd) if pidfd is not None else None

    @classmethod
    def spawn(cls, where: Path, log_file: Path, command: Sequence[str]) -> Guardian:
        """A new one, which runs `command` when this process has died."""
        reading, writing = os.pipe()
        try:
            pid = child.spawn(NAME, where, log_file, lambda: _watch(command), stdin=reading)
        finally:
            os.close(reading)
        return cls(os.pidfd_open(pid), writing)

    def dismiss(self) -> None:
        """Takes leave: this supervisor ends on purpose. A guardian that is its parent ends by itself after it."""
        if self._writing is not None:
            with contextlib.suppress(BrokenPipeError):
                os.write(self._writing, STOP)
            select.select([self.pidfd], [], [], PATIENCE)
            os.waitid(os.P_PIDFD, self.pidfd, os.WEXITED | os.WNOHANG)

    def close(self) -> None:
        """Gives back the descriptors; a guardian that waits at the pipe sees its end."""
        os.close(self.pidfd)
        if self._writing is not None:
            os.close(self._writing)


def _watch(command: Sequence[str]) -> None:
    child.become("/bin/sh", "-c", SCRIPT, "shoal-guardian", *command)
