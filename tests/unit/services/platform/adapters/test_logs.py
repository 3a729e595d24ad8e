"""The log file as a reader meets it."""

from __future__ import annotations

import asyncio
import gzip
from pathlib import Path

import pytest

from services.platform.adapters import logs
from services.platform.adapters.logs import LogFile
from services.platform.domain.lifecycle import Ended
from services.platform.domain.logs import Decoder, Selection
from tests.support.platform_host import until
from tests.unit.services.platform.adapters.test_attach import Sink


def line(text: bytes) -> bytes:
    return b"2026-01-02T03:04:05.000000001+00:00 stdout F " + text + b"\n"


def decoder() -> Decoder:
    return Decoder(Selection(framed=False))


@pytest.fixture
def path(directory: Path) -> Path:
    made = directory / "log"
    made.touch()
    return made


async def tail(path: Path, messages: int) -> bytes:
    file, sink = LogFile(path), Sink()
    file.tail(messages)
    await file.send(sink, decoder())
    file.close()
    return b"".join(sink.written)


@pytest.mark.parametrize("torn", [b"", b"2026-01-02T03:04"])
@pytest.mark.parametrize("chunk", [64, 1 << 18])
async def test_the_tail_is_found_from_the_end(
    path: Path, torn: bytes, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "CHUNK", chunk)
    path.write_bytes(b"".join(line(b"%d" % n) for n in range(100)) + torn)
    assert await tail(path, 3) == b"97\n98\n99\n"
    assert await tail(path, 0) == b""
    assert len((await tail(path, 1000)).split()) == 100


async def test_an_empty_log_has_no_tail(path: Path) -> None:
    assert await tail(path, 3) == b""


def test_a_log_that_was_never_written(directory: Path) -> None:
    with pytest.raises(FileNotFoundError):
        LogFile(directory / "nothing")


async def test_following_sees_what_is_written_until_the_end(path: Path) -> None:
    file, sink = LogFile(path), Sink()
    ended: asyncio.Future[Ended] = asyncio.get_running_loop().create_future()
    following = asyncio.ensure_future(file.follow(sink, decoder(), ended))
    with open(path, "ab", buffering=0) as writer:
        writer.write(line(b"one"))
        await until(lambda: sink.written)
        writer.write(line(b"two")[:20])  # a write may be seen half
        await asyncio.sleep(0.01)
        writer.write(line(b"two")[20:])
        ended.set_result(Ended(0, 0))
    await following
    file.close()
    assert b"".join(sink.written) == b"one\ntwo\n"


async def test_following_ends_at_a_time_that_has_passed(path: Path) -> None:
    path.write_bytes(line(b"late"))
    file, sink = LogFile(path), Sink()
    ended: asyncio.Future[Ended] = asyncio.get_running_loop().create_future()
    await file.follow(sink, Decoder(Selection(until=1, framed=False)), ended)
    file.close()
    assert sink.written == []


async def test_following_goes_on_in_the_file_that_replaced_the_first(path: Path) -> None:
    file, sink = LogFile(path), Sink()
    ended: asyncio.Future[Ended] = asyncio.get_running_loop().create_future()
    path.write_bytes(line(b"one"))
    following = asyncio.ensure_future(file.follow(sink, decoder(), ended))
    await until(lambda: sink.written)
    fresh = path.with_suffix(".tmp")
    fresh.write_bytes(line(b"two"))
    fresh.rename(path)
    await until(lambda: b"two" in b"".join(sink.written))
    with open(path, "ab", buffering=0) as writer:
        writer.write(line(b"three"))
    ended.set_result(Ended(0, 0))
    await following
    file.close()
    assert b"".join(sink.written) == b"one\ntwo\nthree\n"


@pytest.mark.parametrize("packed", [False, True])
async def test_the_tail_reaches_into_the_older_part(path: Path, packed: bool) -> None:
    older = b"".join(line(b"%d" % n) for n in range(5))
    if packed:
        path.with_name("log.old.gz").write_bytes(gzip.compress(older))
    else:
        path.with_name("log.old").write_bytes(older)
    path.write_bytes(b"".join(line(b"%d" % n) for n in range(5, 8)))
    assert await tail(path, 2) == b"6\n7\n"
    assert await tail(path, 3) == b"5\n6\n7\n"
    assert await tail(path, 5) == b"3\n4\n5\n6\n7\n"
    assert len((await tail(path, 100)).split()) == 8


def test_no_more_than_the_bound_is_shown(path: Path) -> None:
    one = len(line(b"0"))
    path.with_name("log.old").write_bytes(b"".join(line(b"%d" % n) for n in range(5)))
    path.write_bytes(line(b"5") + line(b"6"))
    for lines in range(1, 8):
        for extra in (0, 1):
            file = LogFile(path, lines * one + extra)
            data = b""
            while piece := file.read():
                data += piece
            file.close()
            assert data.count(b"\n") == min(lines, 7), (lines, extra)
            assert data.endswith(line(b"6"))


async def test_following_goes_through_a_part_that_was_begun_and_ended_meanwhile(path: Path) -> None:
    file, sink = LogFile(path), Sink()
    ended: asyncio.Future[Ended] = asyncio.get_running_loop().create_future()
    path.write_bytes(line(b"one"))
    following = asyncio.ensure_future(file.follow(sink, decoder(), ended))
    await until(lambda: sink.written)
    path.rename(path.with_name("gone"))
    path.with_name("log.old").write_bytes(line(b"two"))
    path.write_bytes(line(b"three"))
    ended.set_result(Ended(0, 0))
    await following
    file.close()
    assert b"".join(sink.written) == b"one\ntwo\nthree\n"


async def test_what_is_behind_a_place_in_the_present_file(path: Path) -> None:
    """The older part is left out, whatever is in it."""
    before = b"".join(line(b"%d" % number) for number in range(3))
    path.write_bytes(before + line(b"behind"))
    path.with_name(f"{path.name}.old").write_bytes(line(b"older"))
    file, sink = LogFile(path), Sink()
    file.begin_at(len(before))
    await file.send(sink, decoder())
    file.close()
    assert b"".join(sink.written) == b"behind\n"
