"""Looking at frozen processes, and taking back what criu did to them."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import stat
import termios
import time
from pathlib import Path

from ..domain import moving
from . import process, syscalls

TCP_REPAIR = 19
MOST_ENTRIES = 100
PATIENCE = 5.0
"""Seconds that a monitor has to write down what was said."""


def pipes(pid: int) -> dict[str, str]:
    """The pipes behind a process's standard streams, as criu names them."""
    found = {}
    for number in range(3):
        with contextlib.suppress(OSError):
            target = os.readlink(f"/proc/{pid}/fd/{number}")
            if target.startswith("pipe:"):
                found[str(number)] = target
    return found


def entries(folder: int) -> list[moving.Entry] | None:
    """What lies in a tmpfs; None when it is more than folders that are mount points or empty, links and devices."""
    found = []
    opened = os.open(f"/proc/self/fd/{folder}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        device = os.fstat(opened).st_dev
        for entry in os.scandir(opened):
            about = entry.stat(follow_symlinks=False)
            mode, name = about.st_mode, entry.name
            if stat.S_ISLNK(mode):
                found.append(moving.Entry(name, mode, target=os.readlink(name, dir_fd=opened)))
            elif stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
                if about.st_dev != device or about.st_uid or about.st_gid:
                    return None
                found.append(moving.Entry(name, mode, device=about.st_rdev))
            elif stat.S_ISDIR(mode) and (about.st_dev != device or not _filled(opened, name)):
                found.append(moving.Entry(name, mode))
            else:
                return None
            if len(found) > MOST_ENTRIES:
                return None
    finally:
        os.close(opened)
    return found


def _filled(folder: int, name: str) -> bool:
    inside = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        return bool(os.listdir(inside))
    finally:
        os.close(inside)


def end_repair(pid: int) -> None:
    """Takes a frozen process's connections out of the state that criu read them in (TCP_REPAIR, tcp(7))."""
    with contextlib.suppress(OSError):
        held = os.pidfd_open(pid)
        try:
            for number in os.listdir(f"/proc/{pid}/fd"):
                with contextlib.suppress(OSError):
                    if os.readlink(f"/proc/{pid}/fd/{number}").startswith("socket:"):
                        _repaired(syscalls.descriptor_of(held, int(number)))
        finally:
            os.close(held)


def _repaired(descriptor: int) -> None:
    with socket.socket(fileno=descriptor) as connection, contextlib.suppress(OSError):
        if connection.getsockopt(socket.IPPROTO_TCP, TCP_REPAIR) == 1:
            connection.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 0)


def written(pid: int, monitor: int) -> bool:
    """Waits until the monitor has written down all that a frozen process has said; False: it does not.

    Nothing comes to its pipes any more. When they are empty it may still write what it read last; then it sleeps.
    """
    limit = time.monotonic() + PATIENCE
    outputs = [_reader(pid, number) for number in (1, 2)]
    try:
        while any(_unread(pipe) for pipe in outputs if pipe >= 0) or not process.sleeps(monitor):
            if time.monotonic() > limit:
                return False
            time.sleep(0.0005)  # nobody tells when a pipe has been emptied
        return True
    finally:
        for pipe in outputs:
            if pipe >= 0:
                os.close(pipe)


def _reader(pid: int, number: int) -> int:
    """A further reader of a process's pipe; -1: it has none there."""
    try:
        found = os.open(f"/proc/{pid}/fd/{number}", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return -1
    if stat.S_ISFIFO(os.fstat(found).st_mode):
        return found
    os.close(found)
    return -1


def _unread(pipe: int) -> bool:
    count = bytearray(4)
    fcntl.ioctl(pipe, termios.FIONREAD, count)
    return any(count)


def last_line(path: Path) -> str:
    """Of a log; empty where there is none."""
    try:
        return path.read_text(errors="replace").strip().rpartition("\n")[2]
    except OSError:
        return ""
