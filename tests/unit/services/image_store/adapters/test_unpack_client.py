from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.image_store.adapters.layout import StoreLayout
from services.image_store.adapters.unpack_client import HelperSession, LocalUnpacker
from services.image_store.ports import Entry
from shared.config import Settings
from shared.errors import Internal, InvalidArgument
from tools.images import compress, digest, directory, entry, symlink, tar


async def chunks(data: bytes, size: int = 5000) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


async def endless() -> AsyncIterator[bytes]:
    while True:
        yield b"j" * 4096


@pytest.mark.parametrize("form", ["none", "gzip", "zstd"])
async def test_an_archive_is_taken_apart_into_files(session: HelperSession, form: str) -> None:
    archive = tar([directory("d"), entry("d/a", b"content"), symlink("l", "d/a"), entry("p", kind=b"6")])
    entries = await session.spool(chunks(compress(archive, form)))  # type: ignore[arg-type]
    assert [(one.name, one.kind, one.link) for one in entries] == [
        ("d/", "directory", ""),
        ("d/a", "file", ""),
        ("l", "symlink", "d/a"),
        ("p", "other", ""),
    ]
    assert (entries[1].digest, entries[1].size) == (digest(b"content"), 7)
    assert session.read(entries[1], 7) == b"content"
    assert session.head(entries[1], 3) == b"con"
    with pytest.raises(InvalidArgument, match="larger than 6 bytes"):
        session.read(entries[1], 6)


async def test_a_flat_archive_is_kept_decompressed(session: HelperSession) -> None:
    layer = tar([entry("a", b"x")])
    found = await session.inflate(chunks(compress(layer, "gzip")))
    assert (found.digest, found.size) == (digest(layer), len(layer))
    folder, told = await session.unpack(found.file, hashed=True, whole=True)
    assert (folder / "diff/a").read_bytes() == b"x"
    assert told.digest == digest(layer)


async def test_progress_is_told(session: HelperSession) -> None:
    told: list[int] = []

    async def tell(passed: int) -> None:
        told.append(passed)

    session.path("layer").write_bytes(tar([entry(str(number), bytes(1 << 20)) for number in range(60)]))
    await session.unpack("layer", hashed=True, progress=tell)
    assert told == sorted(told)


async def test_a_blob_of_the_store_can_be_unpacked(session: HelperSession, tmp_path: Path) -> None:
    blob = tmp_path / "blob"
    blob.write_bytes(tar([entry("a", b"x")]))
    folder, _ = await session.unpack(session.link(blob), hashed=False)
    assert (folder / "diff/a").exists()


@pytest.mark.parametrize(
    ("archive", "message"),
    [
        (b"junk" * 300, "invalid tar header"),
        (b"short", "unexpected EOF"),
        (tar([entry("a", b"x")])[:1024], "cut short"),
    ],
)
async def test_what_is_no_archive(session: HelperSession, archive: bytes, message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        await session.spool(chunks(archive))


async def test_a_flat_archive_cut_between_entries(session: HelperSession) -> None:
    found = await session.inflate(chunks(tar([entry("a", b"x")])[:1024]))
    with pytest.raises(InvalidArgument, match="cut short"):
        await session.unpack(found.file, hashed=False, whole=True)


async def test_an_error_ends_the_sending(session: HelperSession) -> None:
    with pytest.raises(InvalidArgument, match="invalid tar header"):
        await asyncio.wait_for(session.spool(endless()), 20)


async def test_a_bomb_is_refused_and_its_space_given_back(layout: StoreLayout, settings: Settings) -> None:
    bomb = compress(tar([entry("big", bytes(100 << 20)), entry("bigger", bytes(100 << 20))]), "zstd")
    with pytest.raises(InvalidArgument, match="max_unpack"):
        async with LocalUnpacker(layout, settings).session() as session:
            await session.spool(chunks(bomb))
    assert list(layout.ingest.iterdir()) == []


async def test_more_files_than_an_image_archive_has(layout: StoreLayout) -> None:
    limits = Settings(max_unpack_entries=10)
    with pytest.raises(InvalidArgument, match="more than 10 entries"):
        async with LocalUnpacker(layout, limits).session() as session:
            await session.spool(chunks(tar([entry(str(number)) for number in range(11)])))


async def test_a_helper_that_dies_is_an_error_and_leaves_nothing(layout: StoreLayout, settings: Settings) -> None:
    async def deadly() -> AsyncIterator[bytes]:
        yield tar([entry("a")])[:512]
        os.kill(children()[0], signal.SIGKILL)
        async for data in endless():
            yield data

    with pytest.raises(Internal, match="ended too early"):
        async with LocalUnpacker(layout, settings).session() as session:
            await session.spool(deadly())
    assert list(layout.ingest.iterdir()) == []
    assert children() == []


async def test_a_sender_that_breaks_off_leaves_nothing(layout: StoreLayout, settings: Settings) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield tar([entry("a", bytes(5000))])[:3000]
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        async with LocalUnpacker(layout, settings).session() as session:
            await session.spool(broken())
    assert list(layout.ingest.iterdir()) == []


def children() -> list[int]:
    return [int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()]


async def test_files_are_read_only_where_they_are_files(session: HelperSession) -> None:
    os.mkfifo(session.path("pipe"))
    session.path("link").symlink_to("/etc/passwd")
    with pytest.raises(OSError, match="symbolic links"):
        session.read(Entry(name="x", file="link"), 10)
    with pytest.raises(Exception, match="no regular file"):
        session.read(Entry(name="x", file="pipe"), 10)
