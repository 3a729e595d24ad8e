from __future__ import annotations

import gzip
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.image_store.adapters.registry_files import CHUNK, Sink, Source
from shared.digest import digest_of

DATA = os.urandom(CHUNK + 5000)


@pytest.fixture
def file(tmp_path: Path) -> Iterator[int]:
    descriptor = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    yield descriptor
    os.close(descriptor)


def test_a_blob_in_one_go(file: int) -> None:
    sink = Sink(file, 0)
    sink.catch_up()
    for piece in (DATA[:100], DATA[100:]):
        sink.take(piece)
    assert (sink.digest, sink.at) == (digest_of(DATA), len(DATA))
    assert os.pread(file, 2 * CHUNK, 0) == DATA


def test_a_blob_goes_on_where_it_stopped(file: int) -> None:
    os.write(file, DATA[:CHUNK])
    sink = Sink(file, CHUNK)
    sink.catch_up()
    sink.take(DATA[CHUNK:])
    assert (sink.digest, sink.at) == (digest_of(DATA), len(DATA))


def test_a_file_that_is_shorter_than_thought_starts_anew(file: int) -> None:
    os.write(file, DATA[:10])
    sink = Sink(file, 100)
    sink.catch_up()
    assert (sink.at, os.fstat(file).st_size) == (0, 0)


def test_starting_anew(file: int) -> None:
    sink = Sink(file, 0)
    sink.take(b"wrong")
    sink.restart()
    sink.take(DATA)
    assert sink.digest == digest_of(DATA)
    assert os.pread(file, 2 * CHUNK, 0) == DATA


def test_sending_as_it_is(file: int) -> None:
    os.write(file, DATA)
    source = Source(file, compress=False)
    assert b"".join(source.pieces()) == DATA
    assert (source.digest, source.size, source.passed) == (digest_of(DATA), len(DATA), len(DATA))


def test_compression_is_the_same_each_time(file: int) -> None:
    plain = DATA[:1000] * 3000
    os.write(file, plain)
    source, again = Source(file, compress=True), Source(file, compress=True)
    sent = b"".join(source.pieces())
    assert gzip.decompress(sent) == plain
    assert (source.digest, source.size, source.passed) == (digest_of(sent), len(sent), len(plain))
    assert b"".join(again.pieces()) == sent
