"""Answers that are given again without being made anew, found by the bytes of the whole request.

Which answer may be given again, and until when, its maker says (`Response.fresh`). What a request means depends on its
bytes alone, so equal bytes need no second look: no parser, no route, no task, no span.
"""

from __future__ import annotations

from typing import NamedTuple

from .message import Fresh, Request, Response
from .wire import date_field, render_parts

LONGEST_REQUEST = 2 << 10
LARGEST_ANSWER = 64 << 10
MOST = 512 << 10
"""Bytes of requests and answers together; then all are forgotten."""
_METHODS = frozenset(("GET", "HEAD"))


class _Answer(NamedTuple):
    fresh: Fresh
    start: bytes
    rest: bytes


class Kept:
    """The answers of one server, whichever connection they were first given on."""

    def __init__(self) -> None:
        self._answers: dict[bytes, _Answer] = {}
        self._size = 0

    def get(self, request: bytes) -> bytes | None:
        """The answer to these bytes, if they are a whole request whose last answer still holds."""
        found = self._answers.get(request)
        if found is None:
            return None
        if not found.fresh.holds():
            self._forget(request)
            return None
        return b"".join((found.start, date_field(), found.rest))

    def put(self, head: bytes, request: Request, response: Response) -> None:
        """Keeps what may be kept; `head` is all that the client sent as this request."""
        if response.fresh is None or request.method not in _METHODS or request.content_length != 0:
            return
        if len(head) > LONGEST_REQUEST or len(response.body) > LARGEST_ANSWER:
            return
        start, rest = render_parts(response, request.method == "HEAD", close=False)
        self._forget(head)
        self._size += len(head) + len(start) + len(rest)
        if self._size > MOST:
            self._answers.clear()
            self._size = len(head) + len(start) + len(rest)
        self._answers[head] = _Answer(response.fresh, start, rest)

    def _forget(self, request: bytes) -> None:
        found = self._answers.pop(request, None)
        if found is not None:
            self._size -= len(request) + len(found.start) + len(found.rest)
