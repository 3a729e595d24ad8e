from __future__ import annotations

import json

import pytest

from services.image_store.operations.answering import answer
from shared.errors import ResourceExhausted


class Ear:
    """The other side of a stream: what was written to it."""

    def __init__(self) -> None:
        self.heard = b""
        self.said = [b"more", b"and more", b""]
        self.ended = False

    async def write(self, data: bytes) -> None:
        self.heard += data

    async def write_eof(self) -> None:
        self.ended = True

    async def read(self) -> bytes:
        return self.said.pop(0)


async def test_an_error_is_the_last_line_and_what_follows_is_done() -> None:
    ear, done = Ear(), []

    async def work() -> None:
        await ear.write(b"begun\n")
        raise ResourceExhausted("too much")

    await answer(ear, work, lambda: done.append(1))  # type: ignore[arg-type]
    _, line = ear.heard.splitlines()
    assert json.loads(line) == {"errorDetail": {"code": 507, "message": "too much"}, "error": "too much"}
    assert (done, ear.ended, ear.said) == ([1], True, [])


async def test_a_broken_connection_goes_up() -> None:
    ear, done = Ear(), []

    async def work() -> None:
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await answer(ear, work, lambda: done.append(1))  # type: ignore[arg-type]
    assert (ear.heard, done) == (b"", [1])
