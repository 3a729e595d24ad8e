from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma
import os
import sys
from collections.abc import Callable, Iterator

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.archive.source import (
    CHUNK,
    RATIO_FREE,
    LimitError,
    Limits,
    Source,
    load,
    read_chunks,
    read_exactly,
    read_frames,
)
from shared.archive.tar import TarError

WIDE = Limits(1 << 30, 1 << 20, 10_000)
COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    "none": lambda data: data,
    "gzip": lambda data: gzip.compress(data, mtime=0),
    "zstd": zstandard.ZstdCompressor(write_checksum=True).compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
}


def cut(data: bytes, size: int) -> Iterator[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


def everything(source: Source) -> bytes:
    out = io.BytesIO()
    while piece := source.some():
        out.write(piece)
    return out.getvalue()


@pytest.mark.parametrize("form", COMPRESSORS)
@pytest.mark.parametrize("size", [1, 7, 1 << 16])
def test_every_compression_however_it_is_cut(form: str, size: int) -> None:
    data = os.urandom(1000) + b"\0" * 70_000 + b"end"
    source = Source(cut(COMPRESSORS[form](data), size), WIDE)
    assert everything(source) == data
    assert source.size == len(data)
    assert source.digest == "sha256:" + hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("form", ["gzip", "zstd", "bzip2", "xz"])
def test_several_streams_one_after_the_other(form: str) -> None:
    packed = COMPRESSORS[form](b"one") + COMPRESSORS[form](b"two")
    assert everything(Source(cut(packed, 5), WIDE)) == b"onetwo"


@pytest.mark.parametrize("form", ["gzip", "bzip2", "xz"])
def test_a_stream_cut_short(form: str) -> None:
    with pytest.raises(TarError, match=f"{form}: "):
        everything(Source(cut(COMPRESSORS[form](os.urandom(5000))[:-20], 1000), WIDE))


@pytest.mark.parametrize("form", ["gzip", "zstd", "bzip2", "xz"])
def test_damaged_streams(form: str) -> None:
    packed = bytearray(COMPRESSORS[form](os.urandom(5000)))
    packed[len(packed) // 2] ^= 0xFF
    packed[-5] ^= 0xFF
    with pytest.raises(TarError, match=f"{form}: "):
        everything(Source(cut(bytes(packed), 1000), WIDE))


@pytest.mark.parametrize("form", ["gzip", "zstd", "bzip2", "xz"])
def test_no_step_of_a_bomb_yields_more_than_a_chunk(form: str) -> None:
    source = Source(cut(COMPRESSORS[form](bytes(40 << 20)), 1 << 20), WIDE)
    total = 0
    while piece := source.some():
        assert len(piece) <= CHUNK
        total += len(piece)
    assert total == 40 << 20


def test_a_bomb_ends_at_the_limit_of_bytes() -> None:
    source = Source(cut(COMPRESSORS["zstd"](bytes(20 << 20)), 1 << 16), Limits(10 << 20, 9, 10_000_000))
    with pytest.raises(LimitError, match="max_unpack_bytes"):
        everything(source)
    assert source.size <= 11 << 20


@pytest.mark.parametrize("form", ["gzip", "zstd", "bzip2", "xz"])
def test_a_bomb_ends_at_the_limit_of_the_ratio(form: str) -> None:
    """However much of it has come: what waits behind the bomb excuses nothing."""
    packed = COMPRESSORS[form](bytes(80 << 20)) + COMPRESSORS[form](os.urandom(1 << 20))
    source = Source(cut(packed, 1 << 20), Limits(1 << 40, 9, 100))
    with pytest.raises(LimitError, match="max_unpack_ratio"):
        everything(source)
    assert source.size <= RATIO_FREE + 2 * CHUNK


def test_small_archives_of_zeros_are_no_attack() -> None:
    assert len(everything(Source(cut(COMPRESSORS["zstd"](bytes(10 << 20)), 999), Limits(1 << 40, 9, 2)))) == 10 << 20


@settings(max_examples=50)
@given(
    st.binary(max_size=3000).map(lambda data: b"x" + data),
    st.lists(st.integers(0, 700), max_size=12),
    st.integers(1, 900),
)
def test_reading_in_any_steps_reads_the_same(data: bytes, steps: list[int], size: int) -> None:
    source = Source(cut(data, size), WIDE, hashed=False)
    got = b""
    for step in steps:
        if step > len(data) - len(got):
            break
        got += source.read(step) if step % 2 else b"".join(source.pieces(step))
    assert data.startswith(got)
    assert got + everything(source) == data
    assert source.digest == ""


def test_the_end_inside_what_was_asked_for() -> None:
    source = Source(cut(b"abc", 2), WIDE)
    with pytest.raises(TarError, match="unexpected EOF"):
        source.read(4)
    assert Source(iter(()), WIDE).read(4) == b""


def test_skipped_and_drained_bytes_count() -> None:
    source = Source(cut(b"abcdef", 4), WIDE)
    source.skip(5)
    source.drain()
    assert (source.size, source.digest) == (6, "sha256:" + hashlib.sha256(b"abcdef").hexdigest())


def test_frames_end_inside_a_longer_stream() -> None:
    reading, writing = os.pipe()
    os.write(writing, b"\0\0\0\3abc\0\0\0\1d\0\0\0\0rest")
    os.close(writing)
    assert b"".join(read_frames(reading)) == b"abcd"
    assert read_exactly(reading, 4) == b"rest"
    with pytest.raises(TarError, match="broken off"):
        read_exactly(reading, 1)
    os.close(reading)


def test_frames_that_are_broken_off() -> None:
    reading, writing = os.pipe()
    os.write(writing, b"\0\0\0\3ab")
    os.close(writing)
    with pytest.raises(TarError, match="broken off"):
        b"".join(read_frames(reading))
    os.close(reading)


def test_chunks_of_a_file() -> None:
    reading, writing = os.pipe()
    os.write(writing, b"abc")
    os.close(writing)
    assert list(read_chunks(reading)) == [b"abc"]
    os.close(reading)


def test_who_gives_up_its_root_can_load_before() -> None:
    load()
    load("none", "gzip")
    assert "zstandard" in sys.modules
