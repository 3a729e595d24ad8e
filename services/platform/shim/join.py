"""From the clone to the execve: what an exec's process does to become one of its container's.

The order is the runtime's (crun exec): control groups and namespaces first, the system call filter while the process
may still install it, user and capabilities, at last the program. Nothing is imported or looked up on the way; the
filter may allow little more than what is done here.
"""

from __future__ import annotations

import array
import errno
import fcntl
import os
import resource
import signal
import socket
import struct
import termios

from . import calls

TYPE_CHECKING = False  # the typing module needs a fifth of the shim's memory
if TYPE_CHECKING:
    from typing import Any

TTY_PEER = 0x5441
"""TIOCGPTPEER: opens the other side of a terminal without a path that could be another file by now."""
SET_LOCK = 0x40045431
"""TIOCSPTLCK."""
PTMX = os.makedev(5, 2)
UMASK = 0o022


class Plan:
    """Everything the child needs, made before it is, from a request and its runtime-spec `process`.

    `process`: pidfd of the container's first process; `program`: the system call filter.
    """

    def __init__(self, process: int, request: dict[str, Any], spec: dict[str, Any], program: bytes) -> None:
        user, size = spec["user"], spec.get("consoleSize", {})
        variables = (variable.partition("=") for variable in spec["env"])
        self.process, self.filter = process, program
        self.groups: list[str] = request["groups"]
        self.args: list[str] = spec["args"]
        self.env: dict[str, str] = {name: value for name, _, value in variables}
        self.env.setdefault("HOME", request["home"])
        self.cwd: str = spec["cwd"]
        self.uid: int = user["uid"]
        self.gid: int = user["gid"]
        self.more_groups: list[int] = user.get("additionalGids", [])
        self.capabilities: list[int] = request["capabilities"]
        self.no_new_privileges: bool = spec["noNewPrivileges"]
        self.oom_score_adj: int = spec["oomScoreAdj"]
        self.rlimits = [
            (getattr(resource, each["type"]), _limit(each["soft"]), _limit(each["hard"])) for each in spec["rlimits"]
        ]
        self.tty: tuple[int, int] | None = (size.get("height", 0), size.get("width", 0)) if spec["terminal"] else None


def _limit(value: int) -> int:
    return value if value < 1 << 63 else resource.RLIM_INFINITY


class Refused(Exception):
    """What could not be done, why, and with what."""

    def __init__(self, stage: str, number: int, what: str = "") -> None:
        super().__init__(stage, number, what)


def become(plan: Plan, streams: tuple[int, int, int], answers: int) -> None:
    """Never returns. What fails is written to the socket `answers`; it is closed by the execve."""
    try:
        _join(plan)
        if plan.tty is None:
            for number, stream in enumerate(streams):
                os.dup2(stream, number)
        else:
            _terminal(plan.tty, plan.uid, answers)
        answers = _leave_only(answers)
        _confine(plan)
        _execute(plan)
    except Refused as refused:
        _tell(answers, *refused.args)
    except OSError as error:
        _tell(answers, "join", error.errno or 0, str(error.filename or ""))
    except BaseException as error:  # noqa: BLE001  # nothing of this copy of the shim may go on
        _tell(answers, "join", 0, repr(error))
    finally:
        os._exit(1)


def _tell(answers: int, stage: str, number: int, what: str) -> None:
    os.write(answers, f"{stage}\0{number}\0{what}".encode("utf-8", "surrogateescape")[:4096])


def _join(plan: Plan) -> None:
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # the two that the interpreter ignores
        signal.signal(number, signal.SIG_DFL)
    for path in plan.groups:
        _write(path, b"0")
    _write("/proc/self/oom_score_adj", b"%d" % plan.oom_score_adj)
    calls.leave_keyring()
    calls.setns(plan.process, calls.NAMESPACES)
    os.setsid()


def _write(path: str, data: bytes) -> None:
    file = os.open(path, os.O_WRONLY)
    os.write(file, data)
    os.close(file)


def _terminal(size: tuple[int, int], owner: int, answers: int) -> None:
    """A terminal of the container's own devpts; its master goes to the parent, its other side becomes the streams."""
    master = os.open("/dev/pts/ptmx", os.O_RDWR | os.O_NOCTTY | os.O_NOFOLLOW)
    if os.fstat(master).st_rdev != PTMX:
        raise Refused("terminal", errno.ENODEV, "/dev/pts/ptmx")
    fcntl.ioctl(master, SET_LOCK, struct.pack("i", 0))
    slave = fcntl.ioctl(master, TTY_PEER, os.O_RDWR | os.O_NOCTTY)
    if any(size):
        fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("4H", *size, 0, 0))
    os.fchown(slave, owner, -1)
    for number in range(3):
        os.dup2(slave, number)
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    link = socket.socket(fileno=answers)
    link.sendmsg([b"tty"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [master]))])
    link.detach()


def _leave_only(answers: int) -> int:
    """Closes every descriptor but the streams and `answers`, which gets number 3."""
    if answers != 3:
        os.dup2(answers, 3, inheritable=False)
    os.closerange(4, 1 << 30)
    return 3


def _confine(plan: Plan) -> None:
    """A filter is installed last where nobody may gain privileges, else while this process still has its own."""
    refused = _enter(plan.cwd)
    for kind, soft, hard in plan.rlimits:
        resource.setrlimit(kind, (soft, hard))
    if not plan.no_new_privileges:
        _filter(plan)
    bounding, effective, permitted, inheritable = plan.capabilities
    calls.bound(bounding)
    calls.keep_capabilities()
    calls.become_user(plan.uid, plan.gid, plan.more_groups)
    calls.set_capabilities(effective, permitted, inheritable)
    if refused and (refused := _enter(plan.cwd)):  # there are folders that only their owner may enter
        raise Refused("chdir", refused, plan.cwd)
    if plan.no_new_privileges:
        calls.no_new_privileges()
        _filter(plan)
    os.umask(UMASK)


def _enter(folder: str) -> int:
    """0 when it is the working folder now, and one that lies inside the container's root; else the error's number."""
    try:
        os.chdir(folder)
        os.getcwd()  # fails where the folder cannot be reached from the root
    except OSError as error:
        return error.errno or errno.EIO
    return 0


def _filter(plan: Plan) -> None:
    if plan.filter:
        calls.filter_calls(plan.filter)


def _execute(plan: Plan) -> None:
    """By path, or the first in PATH that may be executed (Go's exec.LookPath). Raises `Refused` when there is none."""
    program = plan.args[0]
    if "/" in program:
        number = _attempt(program, plan)
        raise Refused("exec" if number == errno.EACCES else "stat", number, program)
    for folder in plan.env.get("PATH", os.defpath).split(":") if program else ():  # nothing has no name
        _attempt(f"{folder or '.'}/{program}", plan)
    raise Refused("search", errno.ENOENT, program)


def _attempt(path: str, plan: Plan) -> int:
    """Returns when there is no program that may be executed: why. One that cannot be ends as runc has it end."""
    try:
        os.execve(path, plan.args, plan.env)
    except OSError as error:
        number = error.errno or errno.EIO
    if number == errno.EACCES or not os.path.exists(path):
        return number
    os.write(2, f"exec {path}: {os.strerror(number).lower()}\n".encode("utf-8", "surrogateescape"))
    os._exit(1)
