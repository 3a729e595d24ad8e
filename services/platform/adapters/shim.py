"""The platform's side of the exec shim (`services.platform.shim`): started when first needed, let go after a while."""

from __future__ import annotations

import array
import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec

from shared.errors import Internal

from . import process, syscalls

IDLE_SECONDS = 300.0
"""How long a shim without execs is kept: it needs some 5 MB, and 15 ms to start."""
PACKET = 64 << 10
MOST_DESCRIPTORS = 3
CHECKOUT = Path(__file__).resolve().parents[3]
_BEGIN = "import sys; sys.path.insert(0, sys.argv[2]); from services.platform.shim.program import main; main()"
log = logging.getLogger(__name__)


class Refused(Exception):
    """The program could not be made: at which stage, with which error number, about what."""

    def __init__(self, stage: str, number: int, what: str) -> None:
        super().__init__(f"{stage} {what}: {os.strerror(number)}")
        self.stage, self.number, self.what = stage, number, what


class Started(msgspec.Struct):
    """A program that runs. `descriptors`: a terminal's master; or output, errors and, when asked for, input."""

    pid: int
    shim: int
    descriptors: list[int]


class _Message(msgspec.Struct):
    folder: str
    pid: int = 0
    code: int = -1
    stage: str = ""
    errno: int = 0
    what: str = ""


class Request(msgspec.Struct, kw_only=True):
    """What the shim must know besides the folder's `process.json`.

    All `groups` (v1) are joined, or the first of `cgroups` (v2) that has room. `capabilities` are masks: bounding,
    effective, permitted, inheritable.
    """

    folder: str
    groups: list[str] = []
    cgroups: list[str] = []
    filter: str = ""
    home: str = "/"
    capabilities: tuple[int, ...] = (0, 0, 0, 0)
    stdin: bool = False
    attach: bool = False


class Shims:
    """At most one shim takes new execs; one that has died is followed by another."""

    def __init__(self, mark: str, ended: Callable[[str, int], None], lost: Callable[[str], None]) -> None:
        """`mark` shows in its command line whose it is. `ended`: folder, exit code; `lost`: nobody sees its end."""
        self._mark, self._ended, self._lost = mark, ended, lost
        self._shim: _Shim | None = None
        self._idle: asyncio.TimerHandle | None = None

    async def run(self, request: Request, first: int) -> Started:
        """Runs a program beside the process with the pidfd `first`. Raises `Refused`, or `Internal`."""
        if self._shim is None:
            self._shim = _Shim(self._mark, self._on_end, self._on_loss)
        try:
            return await self._shim.run(request, first)
        finally:
            self._wait_for_another()  # this one was never begun, or its end has come before it was known to run

    def _on_end(self, folder: str, code: int) -> None:
        self._ended(folder, code)
        self._wait_for_another()

    def _wait_for_another(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
        self._idle = asyncio.get_running_loop().call_later(IDLE_SECONDS, self._nothing_came)

    def _nothing_came(self) -> None:
        if self._shim is not None and not self._shim.busy:
            self.close()

    def _on_loss(self, shim: _Shim, folders: set[str]) -> None:
        if self._shim is shim:
            self._shim = None
        for folder in folders:
            self._lost(folder)

    def close(self) -> None:
        """Lets the shim go; what runs goes on, and the shim with it."""
        if self._idle is not None:
            self._idle.cancel()
        if self._shim is not None:
            self._shim.close()
            self._shim = None


class _Shim:
    """One process and the connection to it."""

    def __init__(self, mark: str, ended: Callable[[str, int], None], lost: Callable[[_Shim, set[str]], None]) -> None:
        self._ended, self._lost = ended, lost
        self._waiting: dict[str, asyncio.Future[Started]] = {}
        self._running: set[str] = set()
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._control.setblocking(False)
        with theirs:
            self.pid = start(theirs.fileno(), mark)
        self._process = process.Handle(self.pid)
        self._process.on_end(self._reap)
        asyncio.get_running_loop().add_reader(self._control.fileno(), self._receive)

    def _reap(self) -> None:
        process.reap(self.pid)
        self._process.close()

    @property
    def busy(self) -> bool:
        return bool(self._waiting or self._running)

    async def run(self, request: Request, first: int) -> Started:
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [first]))]
        answer = self._waiting[request.folder] = asyncio.get_running_loop().create_future()
        try:
            self._control.sendmsg([msgspec.json.encode(request)], rights)
            return await asyncio.shield(answer)
        except OSError as error:
            raise Internal(f"the exec shim does not take a request: {error}") from None
        finally:
            self._waiting.pop(request.folder, None)

    def _receive(self) -> None:
        try:
            data, rest, _, _ = self._control.recvmsg(
                PACKET, socket.CMSG_SPACE(4 * MOST_DESCRIPTORS), socket.MSG_CMSG_CLOEXEC
            )
        except BlockingIOError:
            return
        except OSError:
            data, rest = b"", []
        descriptors = array.array("i")
        for _, _, passed in rest:
            descriptors.frombytes(passed)
        if data:
            self._take(msgspec.json.decode(data, type=_Message), list(descriptors))
        else:
            self._gone()

    def _take(self, message: _Message, descriptors: list[int]) -> None:
        if message.code >= 0:
            self._running.discard(message.folder)
            self._ended(message.folder, message.code)
            return
        if message.pid:
            self._running.add(message.folder)
        answer = self._waiting.get(message.folder)
        if answer is None or answer.done():
            for descriptor in descriptors:
                os.close(descriptor)
        elif message.pid:
            answer.set_result(Started(message.pid, self.pid, descriptors))
        else:
            answer.set_exception(Refused(message.stage, message.errno, message.what))

    def _gone(self) -> None:
        log.warning("the exec shim %d has ended", self.pid)
        self.close()
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(Internal("the exec shim has ended"))
        self._lost(self, self._running)

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._control.fileno())
        self._control.close()


def start(control: int, mark: str) -> int:
    """Starts a shim with that end of its control socket; its pid.

    The interpreter is taken from a mount of its own that nobody can write to: an exec that calls its program
    `/proc/self/exe` gets this file, and must not be able to change the host's by it.
    """
    interpreter = os.path.realpath(sys.executable)
    copy = syscalls.read_only_copy(interpreter)
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    try:
        actions = [(os.POSIX_SPAWN_DUP2, null, 0), (os.POSIX_SPAWN_DUP2, null, 1), (os.POSIX_SPAWN_DUP2, control, 3)]
        return os.posix_spawn(
            f"/proc/self/fd/{copy}",
            [interpreter, "-I", "-S", "-B", "-X", "utf8", "-c", _BEGIN, mark, str(CHECKOUT)],
            {"PYTHONHOME": sys.base_prefix},
            file_actions=actions,
            setsid=True,
            setsigmask=(),
            setsigdef=(signal.SIGPIPE, signal.SIGINT, signal.SIGTERM),
        )
    finally:
        os.close(copy)
        os.close(null)
