"""Listening unix sockets: made in one step, and handed from a parent to the process that serves them.

A supervisor that holds the socket refuses nobody while a process that died is being replaced: clients wait in the
socket's queue for its successor. Handing over follows sd_listen_fds(3): descriptor 3, LISTEN_FDS=1, LISTEN_PID.
"""

from __future__ import annotations

import grp
import os
import socket
from pathlib import Path

from shared.errors import FailedPrecondition

MODE = 0o660
BACKLOG = 4096
HANDED = 3
"""The descriptor that is handed over."""


def bind(path: Path, group: str) -> socket.socket:
    """A listening socket at `path`, in place of one that nobody answers any more.

    Its file appears complete: with its mode 0660 and its group (root's where the host has no such group), and
    listening. Raises `FailedPrecondition` when somebody else serves the path, or when it cannot be used.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o711)
    if answers(path):
        raise FailedPrecondition(f"{path} is served by another process")
    temporary = _temporary(path)
    temporary.unlink(missing_ok=True)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        listening.bind(str(temporary))
        os.chmod(temporary, MODE)
        os.chown(temporary, -1, group_id(group))
        listening.listen(BACKLOG)
        os.rename(temporary, path)  # in one step: a client never finds a socket that nobody serves
    except OSError as error:
        listening.close()
        raise FailedPrecondition(f"cannot listen on {path}: {error.strerror}") from None
    return listening


def answers(path: Path) -> bool:
    """Whether somebody accepts connections at the socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError):
            return False
        except OSError:
            return path.is_socket()
        return True


def group_id(name: str) -> int:
    """The group's number, root's where the host has no such group."""
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        return 0


def hand_over(listening: socket.socket) -> None:
    """In the forked process that is to serve the socket: puts it where `inherited` finds it."""
    if listening.fileno() != HANDED:
        os.dup2(listening.fileno(), HANDED, inheritable=False)
    os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))


def inherited(path: Path) -> socket.socket | None:
    """The socket for `path` that the parent handed over, if it did; once only."""
    if os.environ.get("LISTEN_PID") != str(os.getpid()) or os.environ.get("LISTEN_FDS") != "1":
        return None
    found = socket.socket(fileno=HANDED)
    bound = Path(str(found.getsockname()))
    if bound != path and bound.name.rpartition(".")[0] != _temporary(path).name.rpartition(".")[0]:
        found.detach()
        return None
    del os.environ["LISTEN_PID"], os.environ["LISTEN_FDS"]
    found.setblocking(False)
    return found


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}")
