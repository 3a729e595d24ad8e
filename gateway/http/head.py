"""The head of a request: parsed by llhttp (httptools), the only parser that decides what a request is."""

from __future__ import annotations

from urllib.parse import unquote

import httptools

from .errors import HttpError

MAX_HEAD = 64 << 10
"""Bytes of request line and headers together."""
MAX_HEADERS = 200
END = b"\r\n\r\n"


class Head:
    """What the head says. `length` is None for a chunked body; `parser` goes on with a chunked body."""

    def __init__(self) -> None:
        self.headers: dict[str, str] = {}
        self.target = b""
        self.method = ""
        self.keep_alive = True
        self.length: int | None = 0
        self.parser = httptools.HttpRequestParser(self)
        self.chunks: list[bytes] = []
        self.complete = False
        self._count = 0
        self._extra = False

    # Called by the parser while it is fed.

    def on_url(self, url: bytes) -> None:
        self.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count += 1
        if self._count > MAX_HEADERS:
            raise HttpError(431, f"too many request headers: at most {MAX_HEADERS}")
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        self.headers[key] = f"{self.headers[key]}, {text}" if key in self.headers else text

    def on_body(self, data: bytes) -> None:
        if not self.complete:
            self.chunks.append(data)

    def on_message_complete(self) -> None:
        self.complete = True

    def take(self) -> bytes:
        """What of a chunked body has been parsed since the last call."""
        data = b"".join(self.chunks)
        self.chunks.clear()
        return data

    def feed(self, data: bytes) -> None:
        """Parses on; raises `HttpError` 400 for what is not HTTP/1."""
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self.complete = True
        except httptools.HttpParserCallbackError as error:
            if isinstance(error.__context__, HttpError):
                raise error.__context__ from None
            raise HttpError(400, "malformed HTTP request") from None
        except httptools.HttpParserError as error:
            raise HttpError(400, f"malformed HTTP request: {error}") from None

    def split_target(self) -> tuple[str, str]:
        """Path (decoded) and query (as sent). An absolute URL is reduced to them."""
        target = self.target
        if not target.startswith(b"/"):
            target = _origin_form(target)
        path, _, query = target.partition(b"?")
        try:
            return unquote(path.decode("ascii"), errors="strict"), query.decode("ascii")
        except UnicodeDecodeError:
            raise HttpError(400, "malformed HTTP request: the path is not valid UTF-8") from None


def _origin_form(target: bytes) -> bytes:
    try:
        url = httptools.parse_url(target)
    except httptools.HttpParserInvalidURLError:
        raise HttpError(400, "malformed HTTP request: invalid request target") from None
    path: bytes = url.path or b"/"
    return path + (b"?" + url.query if url.query else b"")


def parse(data: bytes) -> Head:
    """The head in `data`, which ends with its empty line. Raises `HttpError`.

    A request with both Content-Length and chunked is refused: two readers could disagree where it ends.
    """
    head = Head()
    head.feed(data)
    if head.parser.get_http_version() not in ("1.0", "1.1"):
        raise HttpError(505, "only HTTP/1.0 and HTTP/1.1 are served")
    chunked = "transfer-encoding" in head.headers
    if chunked and "content-length" in head.headers:
        raise HttpError(400, "malformed HTTP request: Content-Length together with Transfer-Encoding")
    head.method = head.parser.get_method().decode("ascii")
    head.keep_alive = _keeps_alive(head)
    head.length = None if chunked else _length(head.headers.get("content-length", "0"))
    if not chunked:
        del head.parser  # it refers to the head: both would stay until a garbage collection
    return head


def _keeps_alive(head: Head) -> bool:
    """RFC 9112 section 9.3; the parser itself has forgotten it once it has seen a message whole."""
    options = {option.strip() for option in head.headers.get("connection", "").lower().split(",")}
    if "upgrade" in head.headers:
        return True
    return "close" not in options and (head.parser.get_http_version() == "1.1" or "keep-alive" in options)


def _length(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > 18:
        raise HttpError(400, f'malformed HTTP request: bad Content-Length "{text[:40]}"')
    return int(text)
