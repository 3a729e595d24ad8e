from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import aiohttp
import pytest

from services.image_store.adapters.registry_trouble import Trouble, errno_text, explained
from tests.support.certificates import Authority
from tools.bench.registry import free_port


async def failure(url: str, context: ssl.SSLContext | bool = False) -> tuple[str, str]:
    async with aiohttp.ClientSession() as session:
        try:
            async with session.get(url, ssl=context, timeout=aiohttp.ClientTimeout(sock_read=0.2)) as response:
                await response.read()
        except Exception as error:  # noqa: BLE001  # any of them is explained
            return explained(error)
    raise AssertionError(url)


async def serve(answer: bytes, hold: bool = False) -> asyncio.Server:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(answer)
        if hold:
            await reader.read()
        writer.close()

    return await asyncio.start_server(handler, "127.0.0.1", 0)


def port_of(server: asyncio.Server) -> int:
    return int(server.sockets[0].getsockname()[1])


async def test_nobody_there() -> None:
    port = free_port()
    assert await failure(f"http://127.0.0.1:{port}/") == ("", f"dial tcp 127.0.0.1:{port}: connect: connection refused")


async def test_no_such_host() -> None:
    assert await failure("http://nowhere.invalid/") == ("", "dial tcp: lookup nowhere.invalid: no such host")


@pytest.mark.parametrize(
    ("answer", "hold", "text"),
    [
        (b"", False, "unexpected EOF"),
        (b"", True, "timeout awaiting the registry's answer"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort", False, "unexpected EOF"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", False, "malformed HTTP response: "),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000, False, "malformed HTTP response: "),
    ],
)
async def test_who_speaks_no_proper_http(answer: bytes, hold: bool, text: str) -> None:
    async with await serve(answer, hold) as server:
        assert (await failure(f"http://127.0.0.1:{port_of(server)}/"))[1].startswith(text)


async def test_who_speaks_no_tls() -> None:
    async with await serve(b"HTTP/1.1 400 Bad Request\r\n\r\n") as server:
        found = await failure(f"https://127.0.0.1:{port_of(server)}/", ssl.create_default_context())
    assert found == ("plain", "http: server gave HTTP response to HTTPS client")


async def tls_failure(certificates: Authority, url: str, trusted: Authority | None, days: int = 10) -> str:
    server = await asyncio.start_server(lambda r, w: w.close(), "127.0.0.1", 0, ssl=certificates.server(days))
    context = ssl.create_default_context()
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # as the store's own: the default from Python 3.13 on
    if trusted is not None:
        context.load_verify_locations(cadata=trusted.pem)
    async with server:
        return (await failure(url.replace("PORT", str(port_of(server))), context))[1]


async def test_certificates(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    assert await tls_failure(authority, "https://localhost:PORT/", None) == (
        "tls: failed to verify certificate: x509: certificate signed by unknown authority"
    )
    assert await tls_failure(authority, "https://127.0.0.1:PORT/", authority) == (
        "tls: failed to verify certificate: x509: certificate is not valid for 127.0.0.1"
    )
    assert await tls_failure(authority, "https://localhost:PORT/", authority, days=-1) == (
        "tls: failed to verify certificate: x509: certificate has expired or is not yet valid"
    )


def test_others() -> None:
    assert explained(Trouble("too large", "large")) == ("large", "too large")
    assert explained(ConnectionResetError(104, "Connection reset by peer")) == ("", "connection reset by peer")
    assert explained(ValueError("odd")) == ("", "odd")
    assert explained(ValueError()) == ("", "ValueError")
    assert errno_text(TimeoutError()) == "connection timed out"
