"""A request as parsed and an answer as returned by a handler."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from .inbox import Inbox
from .query import Query
from .version import Version

if TYPE_CHECKING:
    from .connection import Connection
    from .outlet import Duplex, Stream

Headers = tuple[tuple[str, str], ...]
JSON: Headers = (("Content-Type", "application/json"),)


class Fresh(Protocol):
    """How long an answer holds."""

    def holds(self) -> bool:
        """Whether the same request would still be answered the same."""


class Response:
    """A whole answer. `close`: the connection ends after it. `fresh`: it may be given again while that holds."""

    __slots__ = ("body", "close", "fresh", "headers", "status")

    def __init__(
        self,
        status: int,
        body: bytes = b"",
        headers: Headers = (),
        close: bool = False,
        fresh: Fresh | None = None,
    ) -> None:
        self.status, self.body, self.headers, self.close, self.fresh = status, body, headers, close, fresh


class Request:
    """One request. Header names are lower-case; `path` is decoded and without the version prefix once routed."""

    __slots__ = (
        "body",
        "connection",
        "content_length",
        "headers",
        "keep_alive",
        "method",
        "params",
        "path",
        "query",
        "version",
    )

    def __init__(
        self,
        connection: Connection,
        method: str,
        path: str,
        query: str,
        headers: Mapping[str, str],
        body: Inbox,
    ) -> None:
        self.connection = connection
        self.method = method
        self.path = path
        self.query = Query(query)
        self.headers = headers
        self.body = body
        self.params: dict[str, str] = {}
        self.version = Version(0, 0)
        self.keep_alive = True
        self.content_length: int | None = 0
        """Bytes of the body, None when chunked."""

    @property
    def upgrade(self) -> bool:
        """The client asked to switch protocols (`Upgrade: tcp`)."""
        return "upgrade" in self.headers

    def stream(self, headers: Headers = JSON, status: int = 200) -> Stream:
        """Begins a streamed answer: the head is sent at once."""
        return self.connection.begin_stream(self, status, headers)

    def hijack(self, head: bytes) -> Duplex:
        """Sends `head` and takes the connection over; bytes that came after the request are not lost."""
        return self.connection.hijack(head)
