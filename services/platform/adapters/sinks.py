"""Connections to log servers."""

from __future__ import annotations

import array
import asyncio
import contextlib
import errno
import fcntl
import os
import socket
from typing import TYPE_CHECKING, Protocol

from shared.contracts.platform import LogSink
from shared.ids import new_id

from ..domain import journal, syslog
from ..domain.messages import Logged

if TYPE_CHECKING:
    from ssl import SSLContext

CONNECT_SECONDS = 10.0
_SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL


class Sink(Protocol):
    """A log server. What it raises is an `OSError`."""

    async def connect(self) -> None:
        """Joins the server (again)."""

    async def send(self, message: Logged) -> None:
        """Returns when the message is on its way. Joins the server first where nothing is joined."""

    def close(self) -> None: ...


def sink_of(wanted: LogSink) -> Sink:
    """The connection that a container's log options ask for, not yet made."""
    if wanted.driver == "journald":
        return Journal(wanted)
    if wanted.transport in ("tcp", "tcp+tls", "unix"):
        return SyslogStream(wanted)
    return SyslogDatagrams(wanted)


class _Datagrams:
    """A socket for datagrams."""

    def __init__(self) -> None:
        self._socket: socket.socket | None = None

    def _join(self, family: socket.AddressFamily, address: str | tuple[str, int]) -> None:
        self.close()
        made = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            made.connect(address)
        except OSError:
            made.close()
            raise
        self._socket = made

    async def _post(self, data: bytes) -> None:
        assert self._socket is not None
        await asyncio.get_running_loop().sock_sendall(self._socket, data)

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


class SyslogDatagrams(_Datagrams):
    """Over UDP or a unix socket; without an address, that of the host's own server."""

    def __init__(self, wanted: LogSink) -> None:
        super().__init__()
        self._wanted = wanted

    async def connect(self) -> None:
        if self._wanted.transport == "udp":
            host, port = _split(self._wanted.address)
            loop = asyncio.get_running_loop()
            family, _, _, _, address = (await loop.getaddrinfo(host, port, type=socket.SOCK_DGRAM))[0]
            self._join(family, (str(address[0]), int(address[1])))
        elif self._wanted.address:
            self._join(socket.AF_UNIX, self._wanted.address)
        else:
            self._join_own()

    def _join_own(self) -> None:
        for path in syslog.LOCAL:
            with contextlib.suppress(FileNotFoundError, ConnectionRefusedError):
                self._join(socket.AF_UNIX, path)
                return
        raise OSError(errno.ENOENT, "Unix syslog delivery error")

    async def send(self, message: Logged) -> None:
        if message.text:
            if self._socket is None:
                await self.connect()
            await self._post(syslog.record(self._wanted, message, socket.gethostname(), os.getpid()))


class SyslogStream:
    """Over TCP, TLS, or a unix stream socket."""

    def __init__(self, wanted: LogSink) -> None:
        self._wanted = wanted
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def connect(self) -> None:
        self.close()
        async with asyncio.timeout(CONNECT_SECONDS):
            if self._wanted.transport == "unix":
                self._reader, self._writer = await asyncio.open_unix_connection(self._wanted.address)
                return
            host, port = _split(self._wanted.address)
            context = _tls(self._wanted) if self._wanted.transport == "tcp+tls" else None
            self._reader, self._writer = await asyncio.open_connection(host, port, ssl=context)

    async def send(self, message: Logged) -> None:
        if not message.text:
            return
        if self._writer is None or self._reader is None or self._reader.at_eof():
            await self.connect()
        assert self._writer is not None
        self._writer.write(syslog.record(self._wanted, message, socket.gethostname(), os.getpid()))
        await self._writer.drain()

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = self._reader = None


def _tls(wanted: LogSink) -> SSLContext:
    import ssl  # costs memory, and hardly anybody logs over it

    try:
        context = ssl.create_default_context(cafile=wanted.tls_ca or None)
    except FileNotFoundError:
        text = f'could not read CA certificate "{wanted.tls_ca}": open {wanted.tls_ca}: no such file or directory'
        raise OSError(0, text) from None
    except ssl.SSLError:
        raise OSError(0, f'failed to append certificates from PEM file: "{wanted.tls_ca}"') from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # Go takes authorities without key identifiers, and so do people
    if wanted.tls_skip_verify:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if wanted.tls_cert or wanted.tls_key:
        _load_pair(context, wanted.tls_cert, wanted.tls_key)
    return context


def _load_pair(context: SSLContext, cert: str, key: str) -> None:
    missing = next((path for path in (cert, key) if not os.path.exists(path)), None)
    try:
        if missing is not None:
            raise OSError(0, f"open {missing}: no such file or directory")
        context.load_cert_chain(cert, key)
    except OSError as error:  # so is what OpenSSL says
        raise OSError(0, f"Could not load X509 key pair: {error.strerror or error}") from None


def _split(address: str) -> tuple[str, int]:
    """Host and port; without a host it is this one, as Go's net.Dial has it."""
    host, _, port = address.rpartition(":")
    return host.removeprefix("[").removesuffix("]") or "127.0.0.1", int(port)


class Journal(_Datagrams):
    """The host's journal. What is too long for a datagram goes as a sealed file in memory."""

    def __init__(self, wanted: LogSink, path: str = journal.SOCKET) -> None:
        super().__init__()
        self._fields = {**wanted.fields, "CONTAINER_LOG_EPOCH": new_id()}
        self._path = path
        self._count = 0
        self._line = new_id()

    async def connect(self) -> None:
        if not os.path.exists(self._path):
            raise OSError(errno.ENOENT, "journald is not enabled on this host")
        self._join(socket.AF_UNIX, self._path)

    async def send(self, message: Logged) -> None:
        if self._socket is None:
            await self.connect()
        data = journal.record(self._fields, message, self._count + 1, self._line)
        try:
            await self._post(data)
        except OSError as error:
            if error.errno != errno.EMSGSIZE:
                raise
            self._post_file(data)
        self._count += 1
        if message.last:
            self._line = new_id()

    def _post_file(self, data: bytes) -> None:
        assert self._socket is not None
        file = os.memfd_create("journal", os.MFD_ALLOW_SEALING | os.MFD_CLOEXEC)
        try:
            os.write(file, data)
            fcntl.fcntl(file, fcntl.F_ADD_SEALS, _SEALS)
            self._socket.sendmsg([], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [file]))])
        finally:
            os.close(file)
