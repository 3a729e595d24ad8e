"""Log servers on real sockets."""

from __future__ import annotations

import array
import asyncio
import os
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from services.platform.adapters.sinks import Journal, sink_of
from services.platform.domain.logs import STDOUT
from services.platform.domain.messages import Logged
from shared.contracts.platform import LogSink
from tests.unit.services.platform.domain.test_journal import parse


def message(text: bytes) -> Logged:
    return Logged(STDOUT, "2026-01-02T03:04:05.123456789", text)


def listening(family: socket.AddressFamily, address: str | tuple[str, int]) -> socket.socket:
    made = socket.socket(family, socket.SOCK_DGRAM)
    made.bind(address)
    made.settimeout(60)
    return made


class Lines:
    """A server that keeps the lines it gets."""

    def __init__(self) -> None:
        self.lines: asyncio.Queue[bytes] = asyncio.Queue()
        self.writers: list[asyncio.StreamWriter] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        while line := await reader.readline():
            self.lines.put_nowait(line)

    async def next(self) -> bytes:
        return await asyncio.wait_for(self.lines.get(), 60)


@asynccontextmanager
async def server(context: ssl.SSLContext | None = None) -> AsyncIterator[tuple[Lines, str]]:
    lines = Lines()
    made = await asyncio.start_server(lines.serve, "127.0.0.1", 0, ssl=context)
    try:
        yield lines, f"127.0.0.1:{made.sockets[0].getsockname()[1]}"
    finally:
        made.close()


@pytest.mark.parametrize("host", ["127.0.0.1", ""])
async def test_udp(host: str) -> None:
    with listening(socket.AF_INET, ("127.0.0.1", 0)) as receiver:
        port = receiver.getsockname()[1]
        sink = sink_of(LogSink(driver="syslog", tag="t", transport="udp", address=f"{host}:{port}"))
        await sink.send(message(b""))
        await sink.send(message(b"text"))
        assert receiver.recv(1000).endswith(f" t[{os.getpid()}]: text\n".encode())
        sink.close()


async def test_a_unix_socket(directory: Path) -> None:
    path = str(directory / "log")
    with listening(socket.AF_UNIX, path) as receiver:
        sink = sink_of(LogSink(driver="syslog", transport="unixgram", address=path))
        await sink.connect()
        await sink.send(message(b"text"))
        assert receiver.recv(1000).endswith(b": text\n")
        sink.close()
    with pytest.raises(OSError, match="refused"):
        await sink.connect()


async def test_tcp_joins_again_when_the_server_has_hung_up() -> None:
    async with server() as (lines, address):
        sink = sink_of(LogSink(driver="syslog", form="rfc5424", transport="tcp", address=address))
        await sink.send(message(b"one"))
        assert (await lines.next()).endswith(b"one\n")
        lines.writers[0].close()
        await asyncio.sleep(0.05)
        await sink.send(message(b"two"))
        assert (await lines.next()).endswith(b"two\n")
        sink.close()


async def test_nobody_listens() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        sink = sink_of(LogSink(driver="syslog", transport="tcp", address=f"127.0.0.1:{taken.getsockname()[1]}"))
        with pytest.raises(OSError):  # noqa: PT011 - whatever the loop calls it
            await sink.connect()


def certified(directory: Path) -> tuple[str, str]:
    """A key and a certificate for 127.0.0.1."""
    key, certificate = str(directory / "key"), str(directory / "certificate")
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    names = ["-subj", "/CN=log", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*command, "-keyout", key, "-out", certificate, *names], check=True, capture_output=True)
    return key, certificate


async def test_tls(directory: Path) -> None:
    key, certificate = certified(directory)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    async with server(context) as (lines, address):
        wanted = LogSink(driver="syslog", tag="t", form="rfc5424", transport="tcp+tls", address=address)
        trusting = sink_of(msgspec.structs.replace(wanted, tls_ca=certificate))
        await trusting.send(message(b"text"))
        line = await lines.next()
        assert line.endswith(b"text\n")
        assert int(line.split()[0]) == len(line) - len(line.split()[0]) - 1
        trusting.close()
        careless = sink_of(msgspec.structs.replace(wanted, tls_skip_verify=True))
        await careless.connect()
        careless.close()
        with pytest.raises(OSError, match="certificate"):
            await sink_of(wanted).connect()


async def test_the_journal(directory: Path) -> None:
    path = str(directory / "journal")
    sink = Journal(LogSink(driver="journald", fields={"CONTAINER_NAME": "web"}), path)
    with pytest.raises(OSError, match="journald is not enabled on this host"):
        await sink.connect()
    with listening(socket.AF_UNIX, path) as receiver:
        await sink.connect()
        await sink.send(message(b"text"))
        found = parse(receiver.recv(10_000))
        assert (found["MESSAGE"], found["CONTAINER_NAME"]) == (b"text", b"web")
        assert (found["CONTAINER_LOG_ORDINAL"], len(found["CONTAINER_LOG_EPOCH"])) == (b"1", 64)
        big = b"x" * 1_000_000
        await sink.send(message(big))
        data, ancillary, _, _ = receiver.recvmsg(10, socket.CMSG_SPACE(4))
        assert data == b""
        files = array.array("i", ancillary[0][2])
        with open(files[0], "rb") as file:
            file.seek(0)
            assert parse(file.read())["MESSAGE"] == big
        sink.close()
