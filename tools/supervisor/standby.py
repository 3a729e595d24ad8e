"""The standby: waits, as a shell, for the supervisor's death and then becomes the supervisor.

It blocks in a read from a pipe whose other end only the supervisor holds. The end of the pipe is the supervisor's
death, however it came; the word `stop` is its leave. Nothing polls, and it weighs as little as a shell.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from . import child

NAME = "standby"
STOP = b"stop\n"
SCRIPT = 'read -r word || exec "$@"'


class Standby:
    """The supervisor's side: the standby's process number and the pipe it listens to."""

    def __init__(self, where: Path, log_file: Path, command: Sequence[str]) -> None:
        reading, self._writing = os.pipe()
        try:
            self.pid = child.spawn(NAME, where, log_file, lambda: _become(command), stdin=reading)
        finally:
            os.close(reading)

    def dismiss(self) -> None:
        """Sends the standby away: the supervisor ends on purpose."""
        try:
            os.write(self._writing, STOP)
        except BrokenPipeError:
            pass

    def forget(self) -> None:
        """Closes the pipe of a standby that is dead."""
        os.close(self._writing)


def _become(command: Sequence[str]) -> None:
    child.become("/bin/sh", "-c", SCRIPT, "shoal-standby", *command)
