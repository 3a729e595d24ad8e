from __future__ import annotations

import io
import tarfile
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.archive import tar, writer
from shared.archive.reader import TarReader
from shared.archive.source import Limits, Source
from shared.archive.tar import Header
from shared.archive.writer import TarWriter

NAMES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=300)
HEADERS = st.builds(
    Header,
    name=NAMES.filter(lambda name: not name.endswith("/")),
    mode=st.integers(0, 0o7777),
    uid=st.integers(0, 1 << 40),
    gid=st.integers(0, 1 << 40),
    mtime=st.integers(-(1 << 60), 1 << 60),
    xattrs=st.dictionaries(st.sampled_from(["user.a", "user.b", "security.capability"]), st.binary(max_size=50)),
)


def archive(header: Header, data: bytes = b"") -> bytes:
    header.size = len(data)
    return writer.encode(header) + data + writer.padding(len(data)) + writer.END


@given(HEADERS, st.binary(max_size=2000))
@settings(max_examples=300, deadline=None)
def test_what_was_written_is_read_again(header: Header, data: bytes) -> None:
    reader = TarReader(Source(iter([archive(header, data)]), Limits(1 << 30, 10, 1000)), Limits(1 << 30, 10, 1000))
    found = []
    for entry in reader:
        found.append(entry)
        assert b"".join(bytes(piece) for piece in reader.data()) == data
    (read,) = found
    assert reader.ended
    assert (read.name, read.kind, read.mode, read.uid, read.gid) == (
        header.name, tar.REGULAR, header.mode, header.uid, header.gid,
    )  # fmt: skip
    assert (read.mtime, read.xattrs) == (header.mtime, header.xattrs)


@given(HEADERS)
@settings(max_examples=100, deadline=None)
def test_others_read_it_too(header: Header) -> None:
    with tarfile.open(fileobj=io.BytesIO(archive(header))) as read:
        (entry,) = read.getmembers()
    assert (entry.name, entry.mode, entry.uid, entry.gid) == (header.name, header.mode, header.uid, header.gid)


def test_links_and_devices() -> None:
    data = b"".join((
        writer.encode(Header(name="l" * 101, kind=tar.SYMLINK, link="t" * 200)),
        writer.encode(Header(name="d", kind=tar.CHARACTER, major=10, minor=200)),
        writer.encode(Header(name="dir/", kind=tar.DIRECTORY, mode=0o1777)),
    ))  # fmt: skip
    with tarfile.open(fileobj=io.BytesIO(data + writer.END)) as read:
        link, device, directory = read.getmembers()
    assert (link.linkname, device.devmajor, device.devminor) == ("t" * 200, 10, 200)
    assert directory.isdir()
    assert directory.mode == 0o1777


def written(*entries: tuple[Header, list[tuple[int, bytes]]], **more: Any) -> tarfile.TarFile:
    buffer = io.BytesIO()
    writer = TarWriter(buffer.write, **more)  # type: ignore[arg-type]
    for header, parts in entries:
        writer.add(header, parts)
    writer.end()
    assert writer.size == len(buffer.getvalue())
    buffer.seek(0)
    return tarfile.open(fileobj=buffer)


def content(opened: tarfile.TarFile, name: str) -> bytes:
    file = opened.extractfile(name)
    assert file is not None
    return file.read()


def test_others_read_it() -> None:
    big = bytes(range(256)) * 10_000
    opened = written(
        (Header("small", size=3, mode=0o4755, uid=5), [(0, b"abc")]),
        (Header("big", size=len(big)), [(0, big)]),
        (Header("dir/", kind=tar.DIRECTORY), []),
        (Header("dev", kind=tar.CHARACTER, major=1, minor=3), []),
    )
    assert opened.getnames() == ["small", "big", "dir", "dev"]
    assert (content(opened, "small"), content(opened, "big")) == (b"abc", big)
    assert (opened.getmember("small").mode, opened.getmember("small").uid) == (0o4755, 5)
    assert (opened.getmember("dev").devmajor, opened.getmember("dev").devminor) == (1, 3)


def test_holes_are_zeros_and_lengths_are_kept() -> None:
    opened = written(
        (Header("holes", size=5000), [(1000, b"x"), (3000, b"y" * 10)]),
        (Header("shrunk", size=4), [(0, b"a")]),
        (Header("grown", size=2), [(0, b"abc"), (3, b"d")]),
    )
    assert content(opened, "holes") == bytes(1000) + b"x" + bytes(1999) + b"y" * 10 + bytes(1990)
    assert (content(opened, "shrunk"), content(opened, "grown")) == (b"a\0\0\0", b"ab")


def test_who_can_skip_is_told_of_zeros() -> None:
    skipped: list[int] = []
    taken = io.BytesIO()
    writer = TarWriter(taken.write, skipped.append)  # type: ignore[arg-type]
    writer.add(Header("f", size=1 << 40))
    assert (skipped, len(taken.getvalue())) == ([1 << 40], 512 * 3)
