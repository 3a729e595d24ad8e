"""TLS beneath a connection, with each direction ended by itself (RFC 8446 section 6.1).

asyncio's own TLS transport closes both directions when the client's close_notify comes; Docker's clients end their
standard input that way and go on reading. So the records are made here, by OpenSSL over memory, and the protocol above
sees a transport that can half-close as a socket can.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from shared.errors import FailedPrecondition

if TYPE_CHECKING:
    import ssl

log = logging.getLogger(__name__)

HANDSHAKE_SECONDS = 10.0
PLAIN = b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"
"""For a client that does not know of the TLS here, as Go's servers answer it."""
_READ = 256 << 10


@dataclass(frozen=True)
class Files:
    """PEM files of a server. With `ca`, only clients with a certificate of that authority are served."""

    cert: str
    key: str
    ca: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for name in (self.cert, self.key, self.ca) if name)


class Contexts:
    """The TLS configuration of new connections; files that were replaced count from the next connection on."""

    def __init__(self, files: Files) -> None:
        """Raises `FailedPrecondition` when the files cannot be used."""
        self._files = files
        self._state = _state(files)
        self._context = _load(files)

    def current(self) -> ssl.SSLContext:
        """The configuration now. New files that are not usable (yet) leave the old ones in use."""
        state = _state(self._files)
        if state != self._state:
            self._state = state
            try:
                self._context = _load(self._files)
                log.info("TLS: new certificates are in use")
            except FailedPrecondition as error:
                log.error("TLS: the certificates before stay in use: %s", error.message)
        return self._context


def _state(files: Files) -> list[tuple[int, int, int]]:
    found = []
    for name in files.names:
        try:
            status = os.stat(name)
        except OSError:
            found.append((0, 0, 0))
        else:
            found.append((status.st_mtime_ns, status.st_ino, status.st_size))
    return found


def _load(files: Files) -> ssl.SSLContext:
    import ssl  # only gateways that serve TLS carry OpenSSL

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(files.cert, files.key)
        if files.ca:
            context.load_verify_locations(files.ca)
            context.verify_mode = ssl.CERT_REQUIRED  # OpenSSL also checks that it is meant for clients
    except (OSError, ValueError) as error:  # SSLError is an OSError
        raise FailedPrecondition(f"could not load TLS certificates {', '.join(files.names)}: {error}") from None
    return context


class TlsProtocol(asyncio.Protocol):
    """Between a socket's transport and the protocol that `inner` makes."""

    def __init__(self, contexts: Contexts, inner: Callable[[], asyncio.Protocol]) -> None:
        import ssl

        self._errors = (ssl.SSLWantReadError, ssl.SSLError)
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = contexts.current().wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._make, self._inner = inner, cast("asyncio.Protocol | None", None)
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._ended = self._closing = False

    # What the socket's transport calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._timer = asyncio.get_running_loop().call_later(HANDSHAKE_SECONDS, self._transport.abort)

    def data_received(self, data: bytes) -> None:
        self._incoming.write(data)
        try:
            if self._inner is None and not self._shake_hands():
                return
            self._read()
        except self._errors[1] as error:
            log.info("TLS: a client was refused or broke off: %s", error)
            if self._inner is None and getattr(error, "reason", "") == "HTTP_REQUEST" and self._transport is not None:
                self._transport.write(PLAIN)
            else:
                self.flush()  # the alert that says why
            self._abort()

    def eof_received(self) -> bool:
        return self._end()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        self._transport = None
        if self._inner is not None:
            self._inner.connection_lost(exc)

    def pause_writing(self) -> None:
        if self._inner is not None:
            self._inner.pause_writing()

    def resume_writing(self) -> None:
        if self._inner is not None:
            self._inner.resume_writing()

    # Helpers.

    def _shake_hands(self) -> bool:
        try:
            self._tls.do_handshake()
        except self._errors[0]:
            self.flush()
            return False
        self.flush()
        self._stop_timer()
        self._inner = self._make()
        assert self._transport is not None
        self._inner.connection_made(cast(asyncio.BaseTransport, TlsTransport(self, self._transport)))
        return True

    def _read(self) -> None:
        assert self._inner is not None
        while not self._ended and self._transport is not None:
            try:
                data = self._tls.read(_READ)
            except self._errors[0]:
                break
            except self._errors[1] as error:
                if type(error).__name__ != "SSLZeroReturnError":
                    raise
                data = b""
            if not data:
                if not self._end() and self._transport is not None:
                    self.finish()
                break
            self._inner.data_received(data)
        self.flush()  # answers of TLS itself: keys that are renewed

    def _end(self) -> bool:
        """The client's direction has ended; whether the connection goes on."""
        if self._ended or self._inner is None:
            return self._ended
        self._ended = True
        return bool(self._inner.eof_received())

    def flush(self) -> None:
        """Sends what OpenSSL has ready."""
        data = self._outgoing.read()
        if data and self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def encrypt(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[self._tls.write(view) :]
        self.flush()

    def say_good_bye(self) -> None:
        """Our close_notify: nothing comes from us any more."""
        if self._closing:
            return
        self._closing = True
        try:
            self._tls.unwrap()
        except self._errors[1]:
            pass  # the client's own is still to come
        self.flush()

    def finish(self) -> None:
        """Ends the connection after what was written."""
        self.say_good_bye()
        if self._transport is not None:
            self._transport.close()

    def _abort(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class TlsTransport:
    """As much of `asyncio.Transport` as a connection uses."""

    def __init__(self, protocol: TlsProtocol, below: asyncio.Transport) -> None:
        self._protocol, self._below = protocol, below
        self._closed = False

    def write(self, data: bytes) -> None:
        if data and not self._closed:
            self._protocol.encrypt(data)

    def writelines(self, parts: Iterable[bytes]) -> None:
        self.write(b"".join(parts))

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self._closed = True
        self._protocol.say_good_bye()

    def close(self) -> None:
        self._closed = True
        self._protocol.finish()

    def abort(self) -> None:
        self._closed = True
        self._below.abort()

    def is_closing(self) -> bool:
        return self._below.is_closing()

    def pause_reading(self) -> None:
        self._below.pause_reading()

    def resume_reading(self) -> None:
        self._below.resume_reading()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._below.set_write_buffer_limits(high, low)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._below.get_extra_info(name, default)
