"""Logs that are sent on: nothing lost whoever dies."""

from __future__ import annotations

import asyncio
import re
import ssl
from pathlib import Path

import msgspec
import pytest

from services.platform.adapters import forwarding, rotation
from services.platform.adapters.forwarding import Forwarding
from services.platform.domain.lifecycle import Ended
from services.platform.domain.messages import Logged
from shared.contracts.platform import LogSink
from shared.errors import Internal
from tests.support.platform_host import until
from tests.unit.services.platform.adapters.test_logs import line
from tests.unit.services.platform.adapters.test_rotation import begin_anew
from tests.unit.services.platform.adapters.test_sinks import certified
from tests.unit.services.platform.adapters.test_sinks import server as listening

WANTED = LogSink(driver="syslog", transport="tcp", address="127.0.0.1:1")


class Server:
    """Takes messages; `refusing` as many as are to fail first."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []
        self.refusing = 0

    async def connect(self) -> None:
        pass

    async def send(self, message: Logged) -> None:
        if self.refusing > 0:
            self.refusing -= 1
            raise ConnectionResetError("gone")
        self.taken.append(message.text)

    def close(self) -> None:
        pass


@pytest.fixture
def path(directory: Path) -> Path:
    made = directory / "x.log"
    made.write_bytes(line(b"before"))
    return made


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    made = Server()
    monkeypatch.setattr(forwarding, "sink_of", lambda wanted: made)
    monkeypatch.setattr(forwarding, "FIRST_PAUSE", 0.001)
    return made


def write(path: Path, *texts: bytes) -> None:
    with open(path, "ab", buffering=0) as file:
        file.writelines(line(text) for text in texts)


def running() -> asyncio.Future[Ended]:
    return asyncio.get_running_loop().create_future()


async def test_what_is_written_from_then_on_is_sent(path: Path, server: Server) -> None:
    sending, ended = Forwarding(), running()
    sending.begin(path, WANTED, await sending.prepare(WANTED), ended)
    write(path, b"one")
    await until(lambda: server.taken == [b"one"])
    server.refusing = 3
    write(path, b"two", b"three")
    await until(lambda: server.taken == [b"one", b"two", b"three"])
    begin_anew(path, line(b"four"))
    ended.set_result(Ended(0, 0))
    await until(lambda: server.taken[3:] == [b"four"])
    await sending.end(path)
    assert not rotation.beside(path, ".sent").exists()


async def test_another_platform_goes_on_where_the_first_was(path: Path, server: Server) -> None:
    first, ended = Forwarding(), running()
    first.begin(path, WANTED, await first.prepare(WANTED), ended)
    write(path, b"one")
    await until(lambda: server.taken == [b"one"] and b'"offset":0' not in rotation.beside(path, ".sent").read_bytes())
    await asyncio.sleep(0.01)
    await first.close()
    write(path, b"two")
    second = Forwarding()
    second.go_on(path.parent, lambda log: ended)
    await until(lambda: server.taken == [b"one", b"two"])
    ended.set_result(Ended(0, 0))
    third, again = Forwarding(), running()
    await second.close()
    third.begin(path, WANTED, server, again)
    write(path, b"three")
    await until(lambda: len(server.taken) == 3)
    assert server.taken == [b"one", b"two", b"three"]
    await third.close()


async def test_two_runs_in_a_row(path: Path, server: Server) -> None:
    sending, first, second = Forwarding(), running(), running()
    sending.begin(path, WANTED, server, first)
    server.refusing = 2
    write(path, b"one")
    first.set_result(Ended(0, 0))
    sending.begin(path, WANTED, server, second)
    write(path, b"two")
    await until(lambda: len(server.taken) == 2)
    assert server.taken == [b"one", b"two"]
    second.set_result(Ended(0, 0))
    await sending.close()


async def test_marks_of_logs_that_are_gone(path: Path, server: Server) -> None:
    mark = rotation.beside(path, ".sent")
    mark.write_bytes(b"{}")
    Forwarding().go_on(path.parent, lambda log: running())
    assert not mark.exists()


@pytest.mark.parametrize("transport", ["tcp", "tcp+tls"])
async def test_a_server_that_is_not_there(transport: str) -> None:
    with pytest.raises(Internal) as caught:
        await Forwarding().prepare(msgspec.structs.replace(WANTED, transport=transport))
    text = "failed to initialize logging driver: dial tcp 127.0.0.1:1: connect: connection refused"
    assert caught.value.message == text


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({}, "x509: certificate signed by unknown authority"),
        ({"tls_ca": "/nope/ca"}, 'driver: could not read CA certificate "/nope/ca": open /nope/ca: no such file'),
        ({"tls_cert": "/nope/c"}, "driver: Could not load X509 key pair: open /nope/c: no such file or directory"),
        ({"tls_ca": "/etc/passwd"}, 'driver: failed to append certificates from PEM file: "/etc/passwd"'),
        ({"tls_cert": "/etc/passwd", "tls_key": "/etc/group"}, "driver: Could not load X509 key pair: "),
        ({"address": "nohost.invalid:1"}, "driver: dial tcp: lookup nohost.invalid: no such host"),
    ],
)
async def test_a_server_that_cannot_be_trusted(directory: Path, changed: dict[str, str], text: str) -> None:
    key, certificate = certified(directory)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    async with listening(context) as (_, address):
        wanted = LogSink(driver="syslog", transport="tcp+tls", address=address)
        with pytest.raises(Internal, match=re.escape(text)):
            await Forwarding().prepare(msgspec.structs.replace(wanted, **changed))


async def test_a_server_that_hangs_up_during_the_handshake() -> None:
    made = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
    address = f"127.0.0.1:{made.sockets[0].getsockname()[1]}"
    with pytest.raises(Internal, match=r"driver: (EOF|tls: .|dial tcp .*: connect: connection reset by peer)"):
        await Forwarding().prepare(LogSink(driver="syslog", transport="tcp+tls", address=address))
    made.close()
