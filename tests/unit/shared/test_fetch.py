from __future__ import annotations

import os

import pytest

from shared.errors import InvalidArgument
from shared.fetch import fetching, without_credentials
from tests.support.website import website


async def test_what_comes() -> None:
    with website({"/a/f.txt": b"text" * 100_000}) as url:
        async with fetching(f"{url}/a/f.txt") as coming:
            assert (coming.name, coming.size, coming.modified) == ("f.txt", 400_000, 0)
            assert b"".join([data async for data in coming.chunks]) == b"text" * 100_000


async def test_who_has_ended_is_not_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    killed: list[int] = []
    with website({"/f": b"text"}) as url:
        async with fetching(f"{url}/f") as coming:
            assert [data async for data in coming.chunks] == [b"text"]
            monkeypatch.setattr(os, "killpg", lambda group, signal: killed.append(group))
    assert killed == []


def test_traces_keep_no_credentials() -> None:
    assert without_credentials("https://user:to:k@en@host/a.git") == "https://host/a.git"
    assert without_credentials("https://host/a@b") == "https://host/a@b"
    assert without_credentials("git@host:a.git") == "git@host:a.git"


async def test_who_stops_reading_is_not_waited_for() -> None:
    with website({"/f": b"x" * 10_000_000}) as url:
        async with fetching(f"{url}/f") as coming:
            assert (await anext(coming.chunks))[:1] == b"x"


async def test_what_is_not_there() -> None:
    with website({}) as url, pytest.raises(InvalidArgument, match="with status 404 Not Found"):
        async with fetching(f"{url}/none"):
            pass


@pytest.mark.parametrize(
    ("url", "why"),
    [
        (
            "http://127.0.0.1:1/x",
            r'^Get "http://127\.0\.0\.1:1/x": dial tcp 127\.0\.0\.1:1: connect: connection refused$',
        ),
        ("http://no.invalid/x", r'^Get "http://no\.invalid/x": dial tcp: lookup no\.invalid: no such host$'),
    ],
)
async def test_nobody_there(url: str, why: str) -> None:
    with pytest.raises(InvalidArgument, match=why):
        async with fetching(url):
            pass
