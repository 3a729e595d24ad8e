from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from services.image_store.adapters.content_local import LocalContent
from services.image_store.adapters.layout import StoreLayout
from services.image_store.adapters.partials import LocalPartials
from services.image_store.domain.progress import Step
from services.image_store.domain.registry_answers import RegistryError
from services.image_store.operations.download import Downloads, Growth
from services.image_store.operations.transfers import Transfers
from services.image_store.ports import Progress
from shared.contracts.common import Descriptor
from shared.digest import digest_of


class Source:
    """Gives blobs in halves; `errors` come first, one for each attempt."""

    def __init__(self, *errors: RegistryError) -> None:
        self.errors = list(errors)
        self.fetched: list[str] = []
        self.running = self.most = 0
        self.go = asyncio.Event()
        self.go.set()

    async def fetch(self, blob: Descriptor, file: Path, told: Progress) -> None:
        self.fetched.append(blob.digest)
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await self.go.wait()
            if self.errors:
                raise self.errors.pop(0)
            with file.open("ab") as out:
                for half in (DATA[blob.digest][:3], DATA[blob.digest][3:]):
                    out.write(half)
                    out.flush()
                    await told(out.tell())
        finally:
            self.running -= 1


BLOBS = [b"blob-%d" % number for number in range(6)]
DATA = {digest_of(data): data for data in BLOBS}
A, *OTHERS = (Descriptor(media_type="x", digest=digest, size=len(data)) for digest, data in DATA.items())
NAME = A.digest[7:19]


class Place:
    def __init__(self, root: Path, attempts: int = 3, delay: int = 0) -> None:
        layout = StoreLayout(root)
        layout.open()
        self.content, self.partials = LocalContent(layout), LocalPartials(layout)
        self.content.open()
        self.downloads = Downloads(self.content, self.partials, Transfers(), 2, attempts, delay)
        self.seen: list[str] = []

    async def tell(self, step: Step) -> None:
        self.seen.append(f"{step.id} {step.status}" + (f" {step.current}/{step.total}" if step.total else ""))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path / "store")


async def test_a_blob_comes_into_the_store(place: Place) -> None:
    growth = Growth()
    await place.downloads.run(A, Source(), growth, place.tell)
    assert place.content.read(A.digest, 100) == DATA[A.digest]
    assert not place.partials.path(A.digest).exists()
    assert place.seen == [
        f"{NAME} Downloading 6/6", f"{NAME} Verifying Checksum", f"{NAME} Download complete",
    ]  # fmt: skip
    assert [size async for size in growth.sizes()] == [6]


async def test_what_is_there_is_not_fetched(place: Place) -> None:
    source = Source()
    await place.downloads.run(A, source, Growth(), place.tell)
    await place.downloads.run(A, source, Growth(), place.tell)
    assert source.fetched == [A.digest]


async def test_two_who_want_the_same_blob(place: Place) -> None:
    source = Source()
    await asyncio.gather(*(place.downloads.run(A, source, Growth(), place.tell) for _ in range(3)))
    assert source.fetched == [A.digest]
    assert place.seen.count(f"{NAME} Download complete") == 3


async def test_so_many_at_once_and_no_more(place: Place) -> None:
    source = Source()
    source.go.clear()
    tasks = [asyncio.ensure_future(place.downloads.run(each, source, Growth(), place.tell)) for each in (A, *OTHERS)]
    for _ in range(20):
        await asyncio.sleep(0)
    assert source.running == 2
    assert sum(line.endswith("Waiting") for line in place.seen) == len(BLOBS) - 2
    source.go.set()
    await asyncio.gather(*tasks)
    assert source.most == 2


async def test_what_breaks_off_is_tried_again(tmp_path: Path) -> None:
    place = Place(tmp_path / "store", delay=1)
    await place.downloads.run(A, Source(RegistryError("broken")), Growth(), place.tell)
    assert f"{NAME} Retrying in 1 second" in place.seen
    await place.downloads.run(OTHERS[0], Source(RegistryError("busy", wait=0.6)), Growth(), place.tell)
    assert f"{OTHERS[0].digest[7:19]} Retrying in 1 second" in place.seen


async def test_but_not_for_ever(place: Place) -> None:
    source, growth = Source(*(RegistryError(f"broken {number}") for number in range(5))), Growth()
    with pytest.raises(RegistryError, match="broken 2"):
        await place.downloads.run(A, source, growth, place.tell)
    assert len(source.fetched) == 3
    assert growth.ended
    assert [size async for size in growth.sizes()] == []


async def test_and_not_where_it_cannot_help(place: Place) -> None:
    source = Source(RegistryError("gone", again=False))
    with pytest.raises(RegistryError, match="gone"):
        await place.downloads.run(A, source, Growth(), place.tell)
    assert len(source.fetched) == 1


async def test_growth_is_read_along() -> None:
    growth, seen = Growth(), []

    async def read() -> None:
        seen.extend([size async for size in growth.sizes()])

    reading = asyncio.ensure_future(read())
    for size in (0, 5, 5, 3, 8):
        growth.reach(size)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert growth.begun.is_set()
    growth.end()
    await reading
    assert seen == [5, 8]
    assert growth.restarted
