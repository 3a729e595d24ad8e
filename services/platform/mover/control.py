"""Lines of JSON between a mover and the platform that started it, on one socket."""

from __future__ import annotations

import json
import socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

DESCRIPTOR = 3
"""Number of the socket in the mover, as the platform hands it over."""


class Control:
    """The mover's end. A platform that is gone hears nothing and asks nothing."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection: socket.socket | None = connection
        self._rest = b""

    def fileno(self) -> int:
        """-1 when the platform is gone."""
        return self._connection.fileno() if self._connection is not None else -1

    def tell(self, **said: Any) -> None:
        if self._connection is not None:
            try:
                self._connection.sendall(json.dumps(said).encode() + b"\n")
            except OSError:
                self._gone()

    def ask(self) -> dict[str, Any] | None:
        """The next request; None when the platform is gone."""
        while b"\n" not in self._rest:
            more = b""
            if self._connection is not None:
                try:
                    more = self._connection.recv(1 << 16)
                except OSError:
                    pass
            if not more:
                self._gone()
                return None
            self._rest += more
        line, _, self._rest = self._rest.partition(b"\n")
        asked: dict[str, Any] = json.loads(line)
        return asked

    @property
    def waiting(self) -> bool:
        """Whether a further request has come already."""
        return b"\n" in self._rest

    def _gone(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
