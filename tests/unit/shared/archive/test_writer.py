from __future__ import annotations

import io
import tarfile

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.archive import tar, writer
from shared.archive.reader import TarReader
from shared.archive.source import Limits, Source
from shared.archive.tar import Header

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
