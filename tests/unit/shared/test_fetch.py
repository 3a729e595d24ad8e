from __future__ import annotations

import pytest

from shared.errors import InvalidArgument
from shared.fetch import fetching
from tests.support.website import website


async def test_what_comes() -> None:
    with website({"/a/f.txt": b"text" * 100_000}) as url:
        async with fetching(f"{url}/a/f.txt") as coming:
            assert (coming.name, coming.size, coming.modified) == ("f.txt", 400_000, 0)
            assert b"".join([data async for data in coming.chunks]) == b"text" * 100_000


async def test_who_stops_reading_is_not_waited_for() -> None:
    with website({"/f": b"x" * 10_000_000}) as url:
        async with fetching(f"{url}/f") as coming:
            assert (await anext(coming.chunks))[:1] == b"x"


async def test_what_is_not_there() -> None:
    with website({}) as url, pytest.raises(InvalidArgument, match="with status 404 Not Found"):
        async with fetching(f"{url}/none"):
            pass
