"""A bare HTTP client on a unix socket: sends exactly the bytes it is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec


@dataclass
class Answer:
    """One answer as read: `headers` by lower-case name."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    def json(self) -> Any:
        return msgspec.json.decode(self.body)

    @property
    def message(self) -> str:
        return str(self.json()["message"])


class Client:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    def half_close(self) -> None:
        self.writer.write_eof()

    async def head(self) -> Answer:
        """Status and headers of the next answer."""
        text = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = text.strip().split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        return Answer(int(first.split(" ")[1]), headers)

    async def answer(self, has_body: bool = True) -> Answer:
        """The next answer, whole."""
        answer = await self.head()
        if not has_body or answer.status in (204, 304):
            return answer
        if answer.headers.get("transfer-encoding") == "chunked":
            answer.body = b"".join([chunk async for chunk in self.chunks()])
        elif "content-length" in answer.headers:
            answer.body = await self.reader.readexactly(int(answer.headers["content-length"]))
        else:
            answer.body = await self.reader.read()
        return answer

    async def chunks(self) -> AsyncIterator[bytes]:
        """The chunks of a streamed answer as they come."""
        while size := int(await self.reader.readline(), 16):
            yield (await self.reader.readexactly(size + 2))[:-2]
        await self.reader.readline()


@asynccontextmanager
async def connected(socket: Path) -> AsyncIterator[Client]:
    """A connection for the time of the block."""
    reader, writer = await asyncio.open_unix_connection(str(socket))
    try:
        yield Client(reader, writer)
    finally:
        writer.close()


async def call(socket: Path, method: str, path: str, body: object = None, **headers: str) -> Answer:
    """One request on a connection of its own; a body is sent as JSON unless it is bytes."""
    data = b"" if body is None else body if isinstance(body, bytes) else msgspec.json.encode(body)
    fields = {"Host": "docker", **{name.replace("_", "-"): value for name, value in headers.items()}}
    if data or method in ("POST", "PUT"):
        fields["Content-Length"] = str(len(data))
    if data and not isinstance(body, bytes):
        fields.setdefault("Content-Type", "application/json")
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    async with connected(socket) as client:
        await client.send(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + data)
        return await client.answer(has_body=method != "HEAD")
