from __future__ import annotations

import json

import pytest

from services.platform.adapters.answering import answering
from shared.errors import InvalidArgument, ResourceExhausted, ShoalError


class Ear:
    """The other side of a stream: what was written to it."""

    def __init__(self) -> None:
        self.heard, self.said, self.ended = b"", [b"more", b""], False

    async def write(self, data: bytes) -> None:
        self.heard += data

    async def write_eof(self) -> None:
        self.ended = True

    async def read(self) -> bytes:
        return self.said.pop(0)


async def test_done() -> None:
    ear = Ear()
    async with answering(ear):  # type: ignore[arg-type]
        pass
    assert (ear.heard, ear.said) == (b"{}\n", [b"more", b""])


@pytest.mark.parametrize(("error", "code"), [(InvalidArgument("no"), 400), (ResourceExhausted("no"), 507)])
async def test_what_is_wrong_is_told_and_the_rest_is_heard(error: ShoalError, code: int) -> None:
    ear = Ear()

    async def fail() -> None:
        raise error

    async with answering(ear):  # type: ignore[arg-type]
        await fail()
    assert json.loads(ear.heard) == {"errorDetail": {"code": code, "message": "no"}, "error": "no"}
    assert (ear.said, ear.ended) == ([], True)
