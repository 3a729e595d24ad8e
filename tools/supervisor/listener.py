"""The Docker API's listening socket, held by the supervisor and handed to the gateway.

So a client that connects while a crashed gateway is being replaced waits in the socket's queue for the next one.
Handed over in the way of sd_listen_fds(3): descriptor 3, LISTEN_FDS=1, LISTEN_PID.
"""

from __future__ import annotations

import grp
import os
import socket
from pathlib import Path

from shared.config import Settings
from shared.errors import FailedPrecondition

BACKLOG = 4096
MODE = 0o660
FIRST_DESCRIPTOR = 3


def listen(settings: Settings) -> socket.socket:
    """A listening socket at the settings' path, which it takes in one step, mode 0660 from the first moment on.

    Raises:
        FailedPrecondition: somebody else listens there, or the path cannot be used.
    """
    path = settings.socket_path
    if answers(path):
        raise FailedPrecondition(f"another engine listens on {path}; choose another socket in the settings")
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    listening = socket.socket(socket.AF_UNIX)
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
        temporary.unlink(missing_ok=True)
        _bind_private(listening, temporary)
        os.chown(temporary, -1, _group(settings.socket_group))
        os.chmod(temporary, MODE)
        listening.listen(BACKLOG)
        os.replace(temporary, path)
    except OSError as error:
        listening.close()
        raise FailedPrecondition(f"socket {path}: {error}") from None
    return listening


def answers(path: Path) -> bool:
    """Whether somebody accepts connections at the path."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1)
        try:
            probe.connect(str(path))
        except OSError:
            return False
        return True


def hand_over(listening: socket.socket) -> None:
    """In the process that becomes the gateway: puts the socket where it looks for it."""
    if listening.fileno() != FIRST_DESCRIPTOR:
        os.dup2(listening.fileno(), FIRST_DESCRIPTOR, inheritable=False)
    os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))


def _bind_private(listening: socket.socket, path: Path) -> None:
    before = os.umask(0o177)
    try:
        listening.bind(str(path))
    finally:
        os.umask(before)


def _group(name: str) -> int:
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        return 0
