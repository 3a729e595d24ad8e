"""What a forked process does before it becomes a service or another program."""

from __future__ import annotations

import gc
import importlib
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from shared import listening as sockets
from shared import resting
from shared.config import Settings

from . import records
from .plan import GATEWAY

log = logging.getLogger(__name__)

MOST_DESCRIPTORS = 1 << 16
ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def module_of(name: str) -> str:
    """The module whose `run(settings, ready)` is the process of this name."""
    return "gateway.__main__" if name == GATEWAY else f"services.{name}.__main__"


def spawn(
    name: str,
    where: Path,
    log_file: Path,
    work: Callable[[], None],
    stdin: int | None = None,
    listening: socket.socket | None = None,
) -> int:
    """Forks a process that does `work` in a session of its own; returns its number.

    The process writes its record first. It has no descriptor of its parent but `stdin` (else /dev/null) and
    the listening socket; what it prints goes to the end of `log_file`. When `work` returns it ends with 0,
    when it raises with 1.
    """
    if threading.active_count() != 1:
        raise RuntimeError("a process with threads must not fork")
    signal.pthread_sigmask(
        signal.SIG_BLOCK, ENDING
    )  # or one that comes now would run the parent's handler in the child
    pid = os.fork()
    if pid:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
        return pid
    try:
        _settle(log_file, stdin, listening)
        records.write(where, records.of_this_process(name))
        work()
    except SystemExit as end:
        os._exit(end.code if isinstance(end.code, int) else 1)
    except BaseException:  # the end of this process either way: its log has why
        logging.getLogger(name).exception("%s ended by an error", name)
        _flush()
        os._exit(1)
    _flush()
    os._exit(0)


def serve(name: str, settings: Settings, where: Path) -> None:
    """Becomes the service or the gateway."""

    def ready() -> None:
        records.write(where, records.of_this_process(name, ready=True))

    def rested() -> None:
        records.write(where, records.of_this_process(name, resting=True))

    import shared.service  # here: the supervisor's own first steps need none of it

    shared.service.followed = True
    shared.service.rested = rested if resting.rests(settings, name) else None
    gc.enable()
    importlib.import_module(module_of(name)).run(settings, ready)


def become(program: str, *arguments: str, environment: Mapping[str, str] | None = None) -> None:
    """Becomes another program, with `environment` where this process's own does not say otherwise."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it, and exec keeps that
    os.execve(program, [program, *arguments], {**(environment or {}), **os.environ})


def _settle(log_file: Path, stdin: int | None, listening: socket.socket | None) -> None:
    os.setsid()
    signal.set_wakeup_fd(-1)
    for number in ENDING:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
    source = os.open("/dev/null", os.O_RDONLY) if stdin is None else stdin
    output = os.open(log_file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
    for descriptor, place in ((source, 0), (output, 1), (output, 2)):
        os.dup2(descriptor, place)
    kept = 3
    if listening:
        sockets.hand_over(listening)
        kept += 1
    os.closerange(kept, MOST_DESCRIPTORS)


def _flush() -> None:
    sys.stdout.flush()
    sys.stderr.flush()
