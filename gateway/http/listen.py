"""Addresses: unix sockets that are replaced safely, and TCP."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from shared.errors import FailedPrecondition, InvalidArgument
from shared.listening import BACKLOG, bind, inherited

from .tls import Contexts, TlsProtocol


class Listener:
    """One address. A unix socket's file appears complete: bound, with its mode and group, and listening."""

    def __init__(
        self, path: Path | None, group: str, host: str = "", port: int = 0, tls: Contexts | None = None
    ) -> None:
        self.path, self.host, self.port, self.tls = path, host, port, tls
        self._group = group
        self._server: asyncio.Server | None = None
        self._inode = 0

    @classmethod
    def unix(cls, path: Path, group: str) -> Listener:
        return cls(path, group)

    @classmethod
    def parse(cls, address: str, group: str, tls: Contexts | None = None) -> Listener:
        """`unix:///path` or `tcp://host:port`, this one with TLS when it is given; raises `InvalidArgument`."""
        parts = urlsplit(address)
        if parts.scheme == "unix" and parts.path:
            return cls.unix(Path(parts.path), group)
        try:
            port = parts.port
        except ValueError:
            port = None
        if parts.scheme != "tcp" or port is None:
            raise InvalidArgument(f"hosts: {address!r} is neither unix:///path nor tcp://host:port")
        return cls(None, group, parts.hostname or "", port, tls)

    async def open(self, protocol: Callable[[], asyncio.Protocol]) -> None:
        """Listens. Raises `FailedPrecondition` when somebody else serves the address."""
        loop = asyncio.get_running_loop()
        if self.path is None:
            made = protocol if self.tls is None else partial(TlsProtocol, self.tls, protocol)
            try:
                self._server = await loop.create_server(made, self.host, self.port, backlog=BACKLOG)
            except OSError as error:
                raise FailedPrecondition(f"cannot listen on tcp://{self.host}:{self.port}: {error.strerror}") from None
            self.port = self._server.sockets[0].getsockname()[1]
            return
        listening = inherited(self.path)
        if listening is None:
            listening = bind(self.path, self._group)
            self._inode = os.stat(self.path).st_ino
        self._server = await loop.create_unix_server(protocol, sock=listening, backlog=BACKLOG)

    def close(self) -> None:
        """Stops listening; removes the socket's file unless it belongs to a supervisor or a successor."""
        if self._server is not None:
            self._server.close()
        if self.path is not None:
            try:
                if os.stat(self.path).st_ino == self._inode:
                    os.unlink(self.path)
            except FileNotFoundError:
                pass
