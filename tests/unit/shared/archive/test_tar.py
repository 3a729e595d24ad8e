from __future__ import annotations

import io
import tarfile
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.archive import tar
from shared.archive.tar import Header, TarError


def block(info: tarfile.TarInfo, form: Literal[0, 1] = tarfile.USTAR_FORMAT) -> bytes:
    return info.tobuf(form)


def info(name: str = "a", **fields: object) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    for key, value in fields.items():
        setattr(made, key, value)
    return made


def record(key: str, value: str) -> bytes:
    """One pax record: its length counts its own digits."""
    body = f" {key}={value}\n".encode()
    length = len(body) + len(str(len(body) + 2))
    return str(length).encode() + body


def test_a_header_with_everything() -> None:
    made = info("dir/a", mode=0o4755, uid=1000, gid=50, size=7, mtime=12, linkname="b", type=tarfile.SYMTYPE)
    header = tar.parse(block(made))
    assert header == Header(
        "dir/a", kind=tar.SYMLINK, mode=0o4755, uid=1000, gid=50, size=7, mtime=12 * 10**9, link="b"
    )


def test_devices_have_numbers() -> None:
    header = tar.parse(block(info(type=tarfile.CHRTYPE, devmajor=5, devminor=1)))
    assert header is not None
    assert (header.major, header.minor) == (5, 1)


def test_a_long_name_is_split_over_two_fields() -> None:
    name = "d" * 90 + "/" + "f" * 90
    header = tar.parse(block(info(name)))
    assert header is not None
    assert header.name == name


def test_numbers_too_large_for_octal() -> None:
    header = tar.parse(block(info(size=1 << 40, uid=1 << 25, mtime=-5), tarfile.GNU_FORMAT))
    assert header is not None
    assert (header.size, header.uid, header.mtime) == (1 << 40, 1 << 25, -5 * 10**9)


def test_zeros_are_the_end() -> None:
    assert tar.parse(bytes(512)) is None


@pytest.mark.parametrize("data", [b"junk" * 128, b"x" * 100, b"\xff" * 512])
def test_junk_is_refused(data: bytes) -> None:
    with pytest.raises(TarError):
        tar.parse(data)


def test_a_negative_size_is_refused() -> None:
    with pytest.raises(TarError, match="negative size"):
        tar.parse(block(info(size=-1), tarfile.GNU_FORMAT))


def test_old_archives_mark_directories_by_their_name() -> None:
    header = tar.parse(block(info("d/", type=tarfile.AREGTYPE)))
    assert header is not None
    assert header.kind == tar.DIRECTORY


def test_pax_records_overrule_the_header() -> None:
    header = Header("short", size=1, uid=1)
    values = [("path", "long/ä"), ("size", "99"), ("mtime", "1.000000005"), ("SCHILY.xattr.user.a", "x=y")]
    tar.apply_pax(header, tar.parse_pax(b"".join(record(*each) for each in values)))
    assert (header.name, header.size, header.uid, header.mtime) == ("long/ä", 99, 1, 1_000_000_005)
    assert header.xattrs == {"user.a": b"x=y"}


@pytest.mark.parametrize(
    "data", [b"5 a=b", b"x a=b\n", b"99 a=b\n", b"6 ab=c\n", b"3 \n", b"5 ab\n", b"0 a=b\n", b"6 a=bc", b"1" * 600]
)
def test_damaged_pax_records(data: bytes) -> None:
    with pytest.raises(TarError):
        tar.parse_pax(data)


@pytest.mark.parametrize("pair", [("size", b"-1"), ("uid", b"x"), ("size", b"9" * 30), ("mtime", b"1e5")])
def test_pax_values_that_are_no_numbers(pair: tuple[str, bytes]) -> None:
    with pytest.raises(TarError):
        tar.apply_pax(Header("a"), [pair])


def test_the_three_sparse_forms_of_pax() -> None:
    repeated, joined, inside = Header("a"), Header("a"), Header("a")
    tar.apply_pax(repeated, [("GNU.sparse.offset", b"0"), ("GNU.sparse.numbytes", b"5"), ("GNU.sparse.size", b"9")])
    tar.apply_pax(joined, [("GNU.sparse.map", b"0,5"), ("GNU.sparse.size", b"9")])
    tar.apply_pax(inside, [("GNU.sparse.major", b"1"), ("GNU.sparse.realsize", b"9"), ("GNU.sparse.name", b"b")])
    assert repeated.parts == joined.parts == [(0, 5)]
    assert repeated.real_size == joined.real_size == inside.real_size == 9
    assert (inside.map_in_data, inside.name) == (True, "b")


@pytest.mark.parametrize(
    ("parts", "size", "real_size"),
    [([(5, 5), (0, 5)], 10, 20), ([(0, 5)], 5, 4), ([(0, 5)], 6, 9), ([(0, 5), (3, 5)], 10, 20)],
)
def test_sparse_maps_that_cannot_be(parts: list[tuple[int, int]], size: int, real_size: int) -> None:
    with pytest.raises(TarError, match="sparse map"):
        tar.check_parts(Header("a", size=size, parts=parts, real_size=real_size))


members = st.builds(
    lambda name, mode, uid, gid, mtime, link: info(name, mode=mode, uid=uid, gid=gid, mtime=mtime, linkname=link),
    st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), min_size=1, max_size=60).filter(
        lambda t: "/" not in t
    ),
    st.integers(0, 0o7777),
    st.integers(0, 0o7777777),
    st.integers(0, 0o7777777),
    st.integers(0, 2**33 - 1),
    st.text("ab/.", max_size=20),
)


@given(members)
def test_headers_are_read_as_tarfile_writes_them(made: tarfile.TarInfo) -> None:
    header = tar.parse(block(made))
    assert header is not None
    assert (header.name, header.mode, header.uid, header.gid) == (made.name, made.mode, made.uid, made.gid)
    assert (header.mtime, header.link) == (made.mtime * 10**9, made.linkname)


@given(st.dictionaries(st.text("abc.", min_size=1, max_size=9), st.text(max_size=300), max_size=4))
def test_pax_records_are_read_as_tarfile_writes_them(values: dict[str, str]) -> None:
    made = info("a")
    data = made._create_pax_generic_header(values, tarfile.XHDTYPE, "utf-8")[512:]  # type: ignore[attr-defined]
    assert dict(tar.parse_pax(data)) == {key: value.encode() for key, value in values.items()}


@given(st.binary(max_size=600))
def test_any_bytes_are_records_or_refused(data: bytes) -> None:
    try:
        records = tar.parse_pax(data)
    except TarError:
        return
    assert all(key for key, _ in records)


def test_padding() -> None:
    assert [tar.padded(size) for size in (0, 1, 512, 513)] == [0, 512, 512, 1024]
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(info(size=1), io.BytesIO(b"x"))
    assert buffer.getvalue()[512 : 512 + tar.padded(1)] == b"x" + bytes(511)
