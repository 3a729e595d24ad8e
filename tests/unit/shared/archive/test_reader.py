from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.archive.reader import TarReader
from shared.archive.source import LimitError, Limits, Source
from shared.archive.tar import TarError
from tools.images import entry, symlink, tar

LIMITS = Limits(1 << 30, 1000, 1000)


def reader(data: bytes, size: int = 700, limits: Limits = LIMITS) -> TarReader:
    return TarReader(Source((data[at : at + size] for at in range(0, len(data), size)), limits), limits)


def contents(data: bytes, size: int = 700) -> list[tuple[str, bytes]]:
    reading = reader(data, size)
    return [(header.name, b"".join(reading.data())) for header in reading]


def header(kind: bytes, name: str, data: bytes, size: int = -1) -> bytes:
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, len(data) if size < 0 else size
    return info.tobuf(tarfile.GNU_FORMAT) + data.ljust((len(data) + 511) // 512 * 512, b"\0")


def test_entries_with_their_data() -> None:
    assert contents(tar([entry("a", b"x" * 2000), entry("b"), entry("c", b"y")])) == [
        ("a", b"x" * 2000),
        ("b", b""),
        ("c", b"y"),
    ]


def test_data_nobody_asks_for_is_skipped() -> None:
    assert [one.name for one in reader(tar([entry("a", b"x" * 2000), entry("b", b"y")]))] == ["a", "b"]


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_names_and_links(form: int) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
        archive.addfile(symlink("n" * 300, "l" * 300)[0])
    (only,) = list(reader(buffer.getvalue()))
    assert (only.name, only.link) == ("n" * 300, "l" * 300)


def test_global_records_hold_for_all_that_follow() -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT, pax_headers={"uid": "77"}) as archive:
        for name in ("a", "b"):
            archive.addfile(tarfile.TarInfo(name))
    assert [one.uid for one in reader(buffer.getvalue())] == [77, 77]


def test_the_end_of_the_archive_and_of_the_stream() -> None:
    whole = tar([entry("a", b"x")])
    ended = reader(whole + b"trailing")
    assert [one.name for one in ended] == ["a"]
    assert ended.ended
    cut = reader(whole[:1024])
    assert [one.name for one in cut] == ["a"]
    assert not cut.ended
    assert not list(reader(b""))


@pytest.mark.parametrize("length", [100, 512, 600, 1023])
def test_archives_cut_inside_an_entry(length: int) -> None:
    with pytest.raises(TarError, match="unexpected EOF"):
        contents(tar([entry("a", b"x" * 600)])[:length])


def test_an_extended_header_of_gigabytes_is_not_read() -> None:
    for kind in (tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.XGLTYPE):
        with pytest.raises(LimitError, match="extended header"):
            list(reader(header(kind, "x", b"", 1 << 33)))


def test_more_entries_than_allowed() -> None:
    many = reader(tar([entry(str(number)) for number in range(5)]), limits=Limits(1 << 30, 4, 1000))
    with pytest.raises(LimitError, match="max_unpack_entries"):
        list(many)


def sparse(body: bytes, size: int = -1) -> bytes:
    """A file of pax's sparse form 1.0 with this map and data."""
    records = b"22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n28 GNU.sparse.realsize=1000\n"
    return header(tarfile.XHDTYPE, "p", records) + header(tarfile.REGTYPE, "f", body, size)


def test_a_sparse_map_in_the_data() -> None:
    reading = reader(sparse(b"1\n5\n3\n".ljust(512, b"\0") + b"abc"))
    (only,) = [(one.parts, one.real_size, b"".join(reading.data())) for one in reading]
    assert only == ([(5, 3)], 1000, b"abc")


@pytest.mark.parametrize(
    "body",
    [b"", b"x\n".ljust(512, b"\0"), b"2\n1\n".ljust(512, b"\0"), b"1" * 2048, b"1\n5\n9\n".ljust(512, b"\0") + b"abc"],
)
def test_sparse_maps_that_are_none(body: bytes) -> None:
    with pytest.raises(TarError):
        contents(sparse(body))


def test_a_sparse_map_of_millions_of_parts() -> None:
    with pytest.raises(LimitError, match="sparse file"):
        contents(sparse(b"99999999\n".ljust(512, b"\0")))


names = st.text(
    st.characters(codec="utf-8", exclude_characters="\0/", exclude_categories=["Cs"]), min_size=1, max_size=150
)


@settings(max_examples=60)
@given(st.lists(st.tuples(names, st.binary(max_size=1500)), max_size=6), st.integers(1, 3000))
def test_what_tarfile_writes_is_read(files: list[tuple[str, bytes]], size: int) -> None:
    assert contents(tar([entry(name, data) for name, data in files]), size) == files


@settings(max_examples=150)
@given(st.binary(min_size=1, max_size=40), st.integers(0, 1500))
def test_damage_anywhere_is_read_or_refused(noise: bytes, at: int) -> None:
    data = bytearray(tar([entry("a" * 120, b"x" * 600), symlink("b", "c")]))
    data[at : at + len(noise)] = noise
    try:
        found: Iterator[tuple[str, bytes]] | list[tuple[str, bytes]] = contents(bytes(data))
    except (TarError, LimitError):
        return
    assert isinstance(found, list)


@pytest.mark.parametrize("left", [0, 1, 100])
def test_the_last_padding_may_be_missing(left: int) -> None:
    """As Go's archive/tar takes it, and umoci's `insert` writes it."""
    archive = tar([entry("a", b"first"), entry("b", b"last")])
    end = archive.rindex(b"last") + 4 + left
    assert contents(archive[:end]) == [("a", b"first"), ("b", b"last")]
    with pytest.raises(TarError, match="ends inside an entry"):
        contents(archive[: end - left - 1])
