"""Addresses: unix sockets that are replaced safely, and TCP."""

from __future__ import annotations

import asyncio
import grp
import os
import socket
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from shared.errors import FailedPrecondition, InvalidArgument

MODE = 0o660
BACKLOG = 1024


class Listener:
    """One address. A unix socket's file appears complete: bound, with its mode and group, and listening."""

    def __init__(self, path: Path | None, group: str, host: str = "", port: int = 0) -> None:
        self.path, self.host, self.port = path, host, port
        self._group = group
        self._server: asyncio.Server | None = None
        self._inode = 0

    @classmethod
    def unix(cls, path: Path, group: str) -> Listener:
        return cls(path, group)

    @classmethod
    def parse(cls, address: str, group: str) -> Listener:
        """`unix:///path` or `tcp://host:port`; raises `InvalidArgument`."""
        parts = urlsplit(address)
        if parts.scheme == "unix" and parts.path:
            return cls.unix(Path(parts.path), group)
        try:
            port = parts.port
        except ValueError:
            port = None
        if parts.scheme != "tcp" or port is None:
            raise InvalidArgument(f"hosts: {address!r} is neither unix:///path nor tcp://host:port")
        return cls(None, group, parts.hostname or "", port)

    async def open(self, protocol: Callable[[], asyncio.Protocol]) -> None:
        """Listens. Raises `FailedPrecondition` when somebody else serves the address."""
        loop = asyncio.get_running_loop()
        if self.path is None:
            try:
                self._server = await loop.create_server(protocol, self.host, self.port, backlog=BACKLOG)
            except OSError as error:
                raise FailedPrecondition(f"cannot listen on tcp://{self.host}:{self.port}: {error.strerror}") from None
            self.port = self._server.sockets[0].getsockname()[1]
            return
        listening = bind(self.path, self._group)
        self._inode = os.stat(self.path).st_ino
        self._server = await loop.create_unix_server(protocol, sock=listening, backlog=BACKLOG)

    def close(self) -> None:
        """Stops listening; removes the socket's file unless a successor has put its own there."""
        if self._server is not None:
            self._server.close()
        if self.path is not None:
            try:
                if os.stat(self.path).st_ino == self._inode:
                    os.unlink(self.path)
            except FileNotFoundError:
                pass


def bind(path: Path, group: str) -> socket.socket:
    """A listening socket at `path`, in place of one that nobody answers any more."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o711)
    if answers(path):
        raise FailedPrecondition(f"{path} is served by another process")
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
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
