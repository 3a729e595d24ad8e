"""Copies of another process's userfaultfds (userfaultfd(2)): with them, what is not there is not read as zeros.

While somebody has a descriptor of it, a fault waits for its page. criu closes its own when it has filled a process;
from then on the kernel is to fill what the process has never used, so a copy must go as well.
"""

from __future__ import annotations

import contextlib
import ctypes
import os

_PIDFD_GETFD = 438
_KCMP = {"x86_64": 312, "aarch64": 272}
_KCMP_FILE = 0
_EXITING = 4
"""PF_EXITING among the flags of proc_pid_stat(5), set before any descriptor is closed."""
_libc = ctypes.CDLL(None, use_errno=True)


class Kept:
    """Those of one process, whose pidfd is `handle`."""

    def __init__(self, pid: int, handle: int) -> None:
        self._pid, self._handle = pid, handle
        self._copies: set[int] = set()

    def __len__(self) -> int:
        return len(self._copies)

    def take(self) -> None:
        """Copies those that it has now."""
        for number in self._numbers():
            copy = _libc.syscall(_PIDFD_GETFD, self._handle, number, 0)
            if copy >= 0:
                self._copies.add(copy)

    def release(self) -> None:
        """Closes the copies of what it has closed, unless it is ending: that closes all, filled or not."""
        numbers = self._numbers()
        closed = [copy for copy in self._copies if not any(self._same(number, copy) for number in numbers)]
        if closed and not self._ends():
            for copy in closed:
                self._copies.discard(copy)
                os.close(copy)

    def _numbers(self) -> list[int]:
        """Its userfaultfds."""
        folder, found = f"/proc/{self._pid}/fd", []
        with contextlib.suppress(OSError):
            for number in os.listdir(folder):
                with contextlib.suppress(OSError):
                    if "userfaultfd" in os.readlink(f"{folder}/{number}"):
                        found.append(int(number))
        return found

    def _same(self, number: int, copy: int) -> bool:
        """Whether its descriptor and our copy are of one userfaultfd (kcmp(2)); where that is not known, yes."""
        call = _KCMP.get(os.uname().machine)
        return call is None or _libc.syscall(call, self._pid, os.getpid(), _KCMP_FILE, number, copy) == 0

    def _ends(self) -> bool:
        try:
            with open(f"/proc/{self._pid}/stat") as file:
                text = file.read()
        except OSError:
            return True
        state, *fields = text[text.rindex(")") + 2 :].split()
        return state in "ZX" or bool(int(fields[5]) & _EXITING)

    def close(self) -> None:
        for copy in self._copies:
            os.close(copy)
        self._copies.clear()
