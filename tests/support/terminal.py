"""A client on a pseudo-terminal, as a person sits at one."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

SECONDS = 60.0


class Terminal:
    """Runs a command on a terminal of its own; `seen` is all that it has printed."""

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], rows: int = 24, columns: int = 80
    ) -> None:
        self.master, slave = pty.openpty()
        self.resize(rows, columns, tell=False)
        self.process = subprocess.Popen(
            command,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env={**environment, "TERM": "xterm"},
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(slave)
        self.seen = b""

    def resize(self, rows: int, columns: int, tell: bool = True) -> None:
        """Changes the window; the kernel itself tells the client by SIGWINCH."""
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("4H", rows, columns, 0, 0))
        if tell:
            self.process.send_signal(signal.SIGWINCH)

    def send(self, data: bytes) -> None:
        os.write(self.master, data)

    def expect(self, text: bytes) -> bytes:
        """Reads until text comes; returns everything up to and with it, and forgets that."""
        deadline = time.monotonic() + SECONDS
        while text not in self.seen:
            left = deadline - time.monotonic()
            assert left > 0, f"{text!r} did not come, but {self.seen!r}"
            if not self._read(left):
                break
        assert text in self.seen, f"{text!r} did not come before the end, but {self.seen!r}"
        before, _, self.seen = self.seen.partition(text)
        return before + text

    def sees(self, text: bytes, seconds: float) -> bool:
        """Whether the text comes within this time; like `expect` it forgets what it saw up to there."""
        deadline = time.monotonic() + seconds
        while text not in self.seen:
            ready, _, _ = select.select([self.master], [], [], max(0.0, deadline - time.monotonic()))
            if not ready or not self._read(0):
                return False
        self.seen = self.seen.partition(text)[2]
        return True

    def end(self) -> int:
        """Reads to the end of the client; its exit code."""
        deadline = time.monotonic() + SECONDS
        while self._read(max(0.0, deadline - time.monotonic())):
            assert time.monotonic() < deadline, f"the client does not end: {self.seen!r}"
        return self.process.wait(SECONDS)

    def _read(self, seconds: float) -> bool:
        ready, _, _ = select.select([self.master], [], [], seconds)
        if not ready:
            raise AssertionError(f"nothing more in {SECONDS} s after {self.seen!r}")
        try:
            part = os.read(self.master, 65536)
        except OSError:  # EIO: the other side has closed
            return False
        self.seen += part
        return bool(part)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.master)
