"""Holds the userfaultfds of restored processes, too: when the mover is killed, nobody reads a page that never came.

Were the last descriptor closed, the kernel would let them read zeros. The guard, forked from the mover, sees its end,
and ends the processes, none of which runs on meanwhile, before it lets go. When every page is in place it is dismissed:
from then on nobody's end does them any harm.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PATIENCE = 10.0
_KEEP, _DISMISSED = b"k", b"d"


class Guard:
    """One process. `config`: the workload's control group (`Group`), which is there when something is kept."""

    def __init__(self, config: dict[str, Any]) -> None:
        self._mover, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._pid = os.fork()
        if not self._pid:
            try:
                _stand(theirs, config)
            finally:
                os._exit(0)
        theirs.close()

    def keep(self, descriptor: int) -> None:
        """Holds it, too."""
        with contextlib.suppress(OSError):  # it was killed: then nobody does
            socket.send_fds(self._mover, [_KEEP], [descriptor])

    def dismiss(self, connection: socket.socket | None = None) -> None:
        """It lets go and ends; a connection it holds until its other end is closed (`listen`)."""
        with contextlib.suppress(OSError):
            socket.send_fds(self._mover, [_DISMISSED], [connection.fileno()] if connection is not None else [])
        self._mover.close()
        if connection is None:
            os.waitpid(self._pid, 0)


def _stand(mover: socket.socket, config: dict[str, Any]) -> None:
    os.setsid()
    for number in [int(name) for name in os.listdir("/proc/self/fd")]:
        if number > 2 and number != mover.fileno():  # others must see them closed when the mover is gone
            with contextlib.suppress(OSError):
                os.close(number)
    group, kept = None, list[int]()
    while True:
        word, given, _, _ = socket.recv_fds(mover, 1, 1)
        if word == _DISMISSED:
            for descriptor in kept:
                os.close(descriptor)
            for descriptor in given:
                listen(descriptor)
            return
        if not word:
            break
        kept += given
        group = group or Group(config)
    if group is not None:
        group.end()


def listen(descriptor: int) -> None:
    """Until the other end is closed: a criu that cannot say that processes run lets none run, and may hang then."""
    with contextlib.suppress(ConnectionError):
        while os.read(descriptor, 64):
            pass


class Group:
    """A control group; one that is made anew under its name is another."""

    def __init__(self, config: dict[str, Any]) -> None:
        """`OSError`: there is none."""
        self._words, self._v2 = (config["frozen"].encode(), config["thawed"].encode()), config["v2"]
        self._freezer = os.open(config["freezer"], os.O_RDWR | os.O_CLOEXEC)
        self._members = os.open(config["members"], os.O_RDONLY | os.O_CLOEXEC)

    def end(self) -> None:
        """Kills all its processes while they are frozen; returns when none is left, or patience is."""
        self._freeze(True)
        limit = time.monotonic() + PATIENCE
        while (pids := self._pids()) and time.monotonic() < limit:
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self._freeze(False)
            time.sleep(0.002)  # v1 tells nobody when a group becomes empty; the kill takes effect at once
        self._freeze(False)

    def _freeze(self, frozen: bool) -> None:
        word = self._words[0 if frozen else 1]
        with contextlib.suppress(OSError):  # it is gone
            os.pwrite(self._freezer, word, 0)
            if frozen and not self._v2:
                limit = time.monotonic() + 1.0
                while os.pread(self._freezer, 64, 0).strip() != word and time.monotonic() < limit:
                    time.sleep(0.0005)  # v1 has no notification; reading the state is what drives it on

    def _pids(self) -> list[int]:
        data = b""
        try:
            while more := os.pread(self._members, 1 << 16, len(data)):
                data += more
        except OSError:
            return []
        return [pid for line in data.split() if (pid := int(line)) > 1]

    def close(self) -> None:
        os.close(self._freezer)
        os.close(self._members)
