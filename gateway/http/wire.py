"""The bytes of an answer's head."""

from __future__ import annotations

from email.utils import formatdate
from http import HTTPStatus

from shared.clock import now_ns
from shared.version import ENGINE_VERSION

from .message import Headers, Response
from .version import OFFERED

_EVERY_ANSWER = (
    f"Api-Version: {OFFERED}\r\nDocker-Experimental: true\r\nOstype: linux\r\n"
    f"Server: Docker/{ENGINE_VERSION} (linux)\r\n"
).encode()
_REASONS = {status.value: status.phrase for status in HTTPStatus} | {499: "Client Closed Request"}
_STATUS = {code: f"HTTP/1.1 {code} {reason}\r\n".encode() for code, reason in _REASONS.items()}
_NO_BODY = frozenset((204, 304))


class DateField:
    """The `Date` of answers, written anew once a second."""

    def __init__(self) -> None:
        self._second, self._text = 0, b""

    def __call__(self) -> bytes:
        second = now_ns() // 1_000_000_000
        if second != self._second:
            self._second, self._text = second, f"Date: {formatdate(second, usegmt=True)}\r\n".encode()
        return self._text


date_field = DateField()


def _fields(headers: Headers) -> bytes:
    return "".join([f"{name}: {value}\r\n" for name, value in headers]).encode("latin-1", "replace")


def render_head(status: int, headers: Headers, chunked: bool, close: bool) -> bytes:
    """Head of a streamed answer; without `chunked` it ends with the connection."""
    framing = b"Transfer-Encoding: chunked\r\n" if chunked else b""
    ending = b"Connection: close\r\n" if close or not chunked else b""
    return _STATUS[status] + _EVERY_ANSWER + date_field() + _fields(headers) + framing + ending + b"\r\n"


def render_parts(response: Response, head_only: bool, close: bool) -> tuple[bytes, bytes]:
    """What of a whole answer comes before its date, and what comes behind; `head_only` for the method HEAD."""
    ending = b"Connection: close\r\n\r\n" if close else b"\r\n"
    start, fields = _STATUS[response.status] + _EVERY_ANSWER, _fields(response.headers)
    if response.status in _NO_BODY:
        return start, fields + ending
    length = b"Content-Length: %d\r\n" % len(response.body)
    return start, fields + length + ending + (b"" if head_only else response.body)


def render_response(response: Response, head_only: bool, close: bool) -> bytes:
    """Head and body of a whole answer."""
    start, rest = render_parts(response, head_only, close)
    return b"".join((start, date_field(), rest))


def render_hijack(upgrade: bool, content_type: str) -> bytes:
    """What a connection that becomes a raw stream is answered (Docker's exact words)."""
    if not upgrade:
        return f"HTTP/1.1 200 OK\r\nContent-Type: {RAW_STREAM}\r\n\r\n".encode()
    return (
        f"HTTP/1.1 101 UPGRADED\r\nContent-Type: {content_type}\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
    ).encode()


RAW_STREAM = "application/vnd.docker.raw-stream"
MULTIPLEXED_STREAM = "application/vnd.docker.multiplexed-stream"
