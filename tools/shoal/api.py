"""Requests to the engine's own Docker API, for commands that need one or two of them."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from shared.errors import NotFound, ShoalError, Unavailable

SECONDS = 300


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(SECONDS)
        self.sock.connect(str(self._path))


def call(
    path: Path, method: str, target: str, body: bytes | None = None, kind: str = "application/json",
    headers: Mapping[str, str] | None = None,
) -> Any:  # fmt: skip
    """The decoded JSON answer, or the text of an answer that is none, or None for an empty one; errors as `request`."""
    return _decode(request(path, method, target, body, kind, headers))


def request(
    path: Path, method: str, target: str, body: bytes | None = None, kind: str = "application/json",
    headers: Mapping[str, str] | None = None,
) -> bytes:  # fmt: skip
    """The body of the answer.

    Raises:
        Unavailable: nobody listens at the path.
        NotFound: status 404; the message is the engine's.
        ShoalError: any other error of the engine.
    """
    connection = _Connection(path)
    try:
        connection.request(
            method, target, body, {**({"Content-Type": kind} if body is not None else {}), **(headers or {})}
        )
        answer = connection.getresponse()
        content = answer.read()
    except OSError as error:
        raise Unavailable(f"no engine answers at {path} ({error}); start it by: shoal up") from None
    finally:
        connection.close()
    if answer.status >= 400:
        kind_of_error = NotFound if answer.status == 404 else ShoalError
        raise kind_of_error(_message(content) or f"{method} {target}: status {answer.status}")
    return content


def lines(path: Path, method: str, target: str, body: bytes) -> Iterator[bytes]:
    """The lines of an answer as they come, to its end or to where it is broken off; errors as `request`."""
    connection = _Connection(path)
    try:
        connection.request(method, target, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        if answer.status >= 400:
            raise (NotFound if answer.status == 404 else ShoalError)(_message(answer.read()) or str(answer.status))
        while line := answer.readline():
            yield line
    except http.client.IncompleteRead:
        return
    except (OSError, http.client.HTTPException) as error:
        raise Unavailable(f"the engine at {path} does not answer any more: {error}") from None
    finally:
        connection.close()


def _decode(content: bytes) -> Any:
    try:
        return json.loads(content) if content else None
    except ValueError:
        return content.decode(errors="replace")


def _message(content: bytes) -> str:
    decoded = _decode(content)
    return str(decoded.get("message", "")) if isinstance(decoded, dict) else ""
