"""The shim's loop: requests in, processes out, their ends told and written down."""

from __future__ import annotations

import array
import errno
import gc
import json
import os
import select
import socket
import sys

from . import calls, join

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

CONTROL = 3
"""Number of the control socket, as the platform hands it over."""
PACKET = 64 << 10
CHUNK = 64 << 10
FILTER_BYTES = 1 << 20


class Exec:
    """One process: its folder, and what is held of it."""

    def __init__(self, folder: str, answers: socket.socket, streams: list[int], theirs: list[int]) -> None:
        self.folder, self.answers = folder, answers
        self.streams, self.theirs = streams, theirs
        """The readers of its output, held until it ends; what only the platform gets."""
        self.pid = self.pidfd = -1


class Shim:
    """Serves one platform; without it, until the last process has ended."""

    def __init__(self, control: socket.socket) -> None:
        self._control: socket.socket | None = control
        self._poller = select.epoll()
        self._own = os.open("/proc/self/ns/pid", os.O_RDONLY)
        self._null = os.open(os.devnull, os.O_RDWR)
        self._starting: dict[int, Exec] = {}
        self._running: dict[int, Exec] = {}
        self._draining: set[int] = set()
        self._poller.register(control.fileno(), select.EPOLLIN)

    def run(self) -> None:
        """Returns when the platform is gone and nothing is left to wait for."""
        while self._control is not None or self._starting or self._running:
            for descriptor, _ in self._poller.poll():
                if self._control is not None and descriptor == self._control.fileno():
                    self._receive(self._control)
                elif descriptor in self._starting:
                    self._answered(self._starting[descriptor])
                elif descriptor in self._running:
                    self._ended(self._running[descriptor])
                elif descriptor in self._draining:
                    self._drain(descriptor)

    def _receive(self, control: socket.socket) -> None:
        data, rest, _, _ = control.recvmsg(PACKET, socket.CMSG_SPACE(4), socket.MSG_CMSG_CLOEXEC)
        if not data:
            return self._alone(control)
        descriptors = array.array("i")
        for _, _, passed in rest:
            descriptors.frombytes(passed)
        request = json.loads(data)
        try:
            self._begin(request, descriptors[0])
        except OSError as error:
            self._refuse(request["folder"], "join", error.errno or 0, str(error.filename or ""))
        finally:
            os.close(descriptors[0])

    def _begin(self, request: dict[str, Any], process: int) -> None:
        with open(f"{request['folder']}/process.json", "rb") as file:
            spec = json.loads(file.read())
        plan = join.Plan(process, request, spec, _filter(request["filter"]))
        held, passed, given = self._streams(request, plan)
        answers, told = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        made = Exec(request["folder"], answers, held, passed)
        try:
            self._clone(made, request["cgroups"], plan, given, told.fileno())
        except BaseException:
            _close(*held, *passed, answers.detach())
            raise
        finally:
            _close(told.detach(), *(each for each in given if each != self._null))
        self._starting[answers.fileno()] = made
        self._poller.register(answers.fileno(), select.EPOLLIN)
        with open(f"{made.folder}/pidfile", "w") as file:
            file.write(str(made.pid))

    def _streams(self, request: dict[str, Any], plan: join.Plan) -> tuple[list[int], list[int], tuple[int, int, int]]:
        """What is held here of the output, what only the platform gets, and what the process gets."""
        if plan.tty is not None or not request["attach"]:
            return [], [], (self._null, self._null, self._null)
        pipes = [os.pipe2(os.O_CLOEXEC) for _ in range(3 if request["stdin"] else 2)]
        (out, to_out), (err, to_err) = pipes[:2]
        given = pipes[2] if request["stdin"] else (self._null, -1)
        for descriptor in (to_out, to_err, *given[: len(pipes) - 2]):
            os.fchown(descriptor, plan.uid, plan.gid)  # so that /dev/stdout can be opened by the user
        return [out, err], [given[1]] if request["stdin"] else [], (given[0], to_out, to_err)

    def _clone(self, made: Exec, cgroups: list[str], plan: join.Plan, given: tuple[int, int, int], told: int) -> None:
        calls.setns(plan.process, calls.PID_NAMESPACE)  # of the children from now on
        try:
            made.pid, made.pidfd = _clone_into(cgroups)
            if made.pid == 0:
                join.become(plan, given, told)
        finally:
            calls.setns(self._own, calls.PID_NAMESPACE)

    def _answered(self, made: Exec) -> None:
        """The terminal's master, an error, or the end: the program runs."""
        try:
            data, rest, _, _ = made.answers.recvmsg(PACKET, socket.CMSG_SPACE(4), socket.MSG_CMSG_CLOEXEC)
        except ConnectionResetError:
            data, rest = b"", []
        if data == b"tty" and rest:
            master = array.array("i")
            master.frombytes(rest[0][2])
            made.streams = [master[0]]
            return None
        del self._starting[made.answers.fileno()]
        self._poller.unregister(made.answers.fileno())
        made.answers.close()
        if data:
            stage, number, what = data.decode("utf-8", "replace").split("\0", 2)
            os.waitpid(made.pid, 0)
            _close(made.pidfd, *made.streams, *made.theirs)
            return self._refuse(made.folder, stage, int(number), what)
        self._running[made.pidfd] = made
        self._poller.register(made.pidfd, select.EPOLLIN)
        self._send({"folder": made.folder, "pid": made.pid}, [*made.streams, *made.theirs])
        _close(*made.theirs)
        made.theirs = []
        if self._control is None:
            self._let_go(made)
        return None

    def _refuse(self, folder: str, stage: str, number: int, what: str) -> None:
        self._send({"folder": folder, "stage": stage, "errno": number, "what": what})

    def _ended(self, made: Exec) -> None:
        """The code is written down before anybody is told."""
        _, status = os.waitpid(made.pid, 0)
        code = os.waitstatus_to_exitcode(status)
        code = code if code >= 0 else 128 - code
        del self._running[made.pidfd]
        self._poller.unregister(made.pidfd)
        _close(made.pidfd, *made.streams)
        try:
            with open(f"{made.folder}/.exit", "w") as file:
                file.write(str(code))
            os.rename(f"{made.folder}/.exit", f"{made.folder}/exit")
        except FileNotFoundError:
            pass  # given up by the platform
        self._send({"folder": made.folder, "code": code})

    def _send(self, message: dict[str, Any], descriptors: list[int] | None = None) -> None:
        if self._control is None:
            return
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))] if descriptors else []
        try:
            self._control.sendmsg([json.dumps(message).encode()], rights)
        except OSError:
            self._alone(self._control)

    def _alone(self, control: socket.socket) -> None:
        """The platform is gone: nobody but this process keeps its execs' output from blocking or killing them."""
        self._poller.unregister(control.fileno())
        control.close()
        self._control = None
        for made in self._running.values():
            self._let_go(made)

    def _let_go(self, made: Exec) -> None:
        for stream in made.streams:
            os.set_blocking(stream, False)
            self._draining.add(stream)
            self._poller.register(stream, select.EPOLLIN)
        made.streams = []

    def _drain(self, stream: int) -> None:
        try:
            if os.read(stream, CHUNK):
                return
        except BlockingIOError:
            return
        except OSError:
            pass  # a terminal's other side is closed
        self._poller.unregister(stream)
        self._draining.discard(stream)
        _close(stream)


def _clone_into(cgroups: list[str]) -> tuple[int, int]:
    """Into the first of these groups (v2) that takes a process, or where this process is."""
    for path in cgroups:
        group = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            return calls.clone(group)
        except OSError as error:
            if error.errno != errno.EBUSY or path == cgroups[-1]:
                raise
        finally:
            os.close(group)
    return calls.clone()


def _filter(path: str) -> bytes:
    if not path:
        return b""
    with open(path, "rb") as file:
        return file.read(FILTER_BYTES)


def _close(*descriptors: int) -> None:
    for descriptor in descriptors:
        if descriptor >= 0:
            os.close(descriptor)


def main() -> None:
    """Serves the socket with number `CONTROL`."""
    calls.name("shoal-shim")
    calls.hide()
    sys.path.clear()
    sys.meta_path.clear()  # what joins a container must not load code from there
    gc.freeze()
    Shim(socket.socket(fileno=CONTROL)).run()
