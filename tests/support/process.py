"""A process of a test: started, known to be ready by what it prints, gone with the test."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

SECONDS = 60.0
LAST_WORDS = 1.0
"""Seconds for what a killed process printed; what it started and left behind may hold its pipe for ever."""


@contextmanager
def running(command: Sequence[str], **how: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A program whose pipes the test holds itself, as by Popen; killed with all it has started, however this is left.

    (The context of a Popen waits for its end instead, for ever when an assertion failed before that was called for.)
    """
    process = subprocess.Popen(command, start_new_session=True, **how)
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()
        process.wait(SECONDS)


class Process:
    """Runs a command until `close`. It dies with the thread that made it, even when the test run is killed.

    It counts as ready when it has printed a line that `ready` (a regular expression) is found in.
    """

    def __init__(self, command: Sequence[str], ready: str, environment: Mapping[str, str] | None = None) -> None:
        self.lines: list[str] = []
        self._ready = re.compile(ready)
        self._found: re.Match[str] | None = None
        self._known = threading.Event()
        self._popen = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "--", *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env=environment,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        """To the end: the process would stop at a full pipe."""
        for line in self._popen.stdout or ():
            self.lines.append(line)
            if self._found is None and (found := self._ready.search(line)):
                self._found = found
                self._known.set()
        self._known.set()

    def wait(self, timeout: float = SECONDS) -> re.Match[str]:
        """Blocks until it is ready; the match. `RuntimeError`, with what it printed, when it never will be."""
        self._known.wait(timeout)
        if self._found is None:
            raise RuntimeError(f"{self._popen.args!r} is not ready; exit code {self._popen.poll()}:\n{self.log}")
        return self._found

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def log(self) -> str:
        """What it has printed so far."""
        return "".join(self.lines)

    def join(self, timeout: float = SECONDS) -> int:
        """Waits until it ends by itself; the exit code."""
        code = self._popen.wait(timeout)
        self._reader.join(timeout)
        return code

    def kill(self) -> int:
        """SIGKILL, and waits for the end."""
        self._popen.kill()
        code = self._popen.wait(SECONDS)
        self._reader.join(LAST_WORDS)
        return code

    def close(self, patience: float = 30.0) -> int:
        """SIGTERM, then SIGKILL; the exit code."""
        self._popen.send_signal(signal.SIGTERM)
        try:
            code = self._popen.wait(patience)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            code = self._popen.wait(SECONDS)
        self._reader.join(patience)
        return code


@contextmanager
def carrying(text: str) -> Iterator[Process]:
    """A process that has `text` as an argument and does nothing. One just started may not show its arguments yet."""
    made = Process(["sh", "-c", "echo ready; kill -STOP $$", text], "ready")
    try:
        made.wait()
        yield made
    finally:
        made.kill()
