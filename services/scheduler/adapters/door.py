"""Where newcomers knock: TLS with this host's certificate, one request a connection.

The authority's certificate is told first, as a line of JSON: a newcomer compares it with what its token pins, and this
host's certificate with the authority, before it says its secret.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import msgspec

from shared.cluster import Place
from shared.contracts.scheduler import JoinReply, JoinRequest
from shared.errors import ShoalError, Unavailable

log = logging.getLogger(__name__)

MOST_BYTES = 32 << 10
SECONDS = 10.0
"""A newcomer that has not said what it wants by then is sent away."""
AT_ONCE = 8


async def ask(place: Place, files: Path, request: JoinRequest) -> JoinReply:
    """What a hub answers a host that has been let in, by its `files`, before.

    Raises `OSError` (which TLS's errors are) where it is not reached or somebody else, `Unavailable` for nonsense,
    `TimeoutError`.
    """
    # Not the default context: from Python 3.13 on it wants key identifiers, which the authority gives nobody.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(files / "ca.crt")
    host = place.host.strip("[]")
    async with asyncio.timeout(SECONDS):
        reader, writer = await asyncio.open_connection(host, place.port, ssl=context, limit=MOST_BYTES)
        try:
            await reader.readline()
            writer.write(msgspec.json.encode(request) + b"\n")
            return msgspec.json.decode(await reader.readline(), type=JoinReply)
        except (msgspec.DecodeError, ValueError) as error:
            raise Unavailable(f"{place} answers nonsense: {error}") from None
        finally:
            writer.close()


Admit = Callable[[JoinRequest], Awaitable[JoinReply]]


class Door:
    """Open between `open` and `close`. Whoever knocks is answered; only `admit` knows who may come in."""

    def __init__(self, files: Path, admit: Admit) -> None:
        self._files, self._admit = files, admit
        self._server: asyncio.Server | None = None
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._places = asyncio.Semaphore(AT_ONCE)

    async def open(self, host: str, port: int) -> None:
        """Listens, if it does not yet; raises `OSError` where it cannot."""
        if self._server is not None:
            return
        self._context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.renew()
        self._server = await asyncio.start_server(
            self._knocked, host.strip("[]"), port, ssl=self._context, limit=MOST_BYTES, ssl_handshake_timeout=SECONDS
        )

    def renew(self) -> None:
        """Takes this host's certificate as it is now, for connections from now on."""
        self._context.load_cert_chain(self._files / "node.crt", self._files / "node.key")

    async def close(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.close()
            await server.wait_closed()

    async def _knocked(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(SECONDS), self._places:
                writer.write(msgspec.json.encode((self._files / "ca.crt").read_text()) + b"\n")
                writer.write(msgspec.json.encode(await self._answer(reader)) + b"\n")
                await writer.drain()
        except (OSError, TimeoutError) as error:
            log.info("a newcomer went away: %s", error)
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader) -> JoinReply:
        try:
            return await self._admit(msgspec.json.decode(await reader.readline(), type=JoinRequest))
        except (msgspec.DecodeError, ValueError) as error:  # `ValueError`: a line without end
            return JoinReply(error=f"this is no request to join: {error}")
        except ShoalError as error:
            return JoinReply(error=error.message)
