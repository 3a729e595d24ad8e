from __future__ import annotations

import gzip
import hashlib
import tarfile

import pytest

from services.builder.adapters import archive_index
from services.builder.adapters.spool import Spools
from services.builder.domain.tree import Tree
from shared.errors import InvalidArgument
from tools import images

LIMITS = (128 << 20, 1000, 100)


def index(spools: Spools, data: bytes) -> Tree:
    number = spools.new()
    spools.append(number, data)
    return archive_index.index(spools, number, LIMITS)


ENTRIES = [
    images.directory("d", 0o700),
    images.entry("d/f", b"content", mode=0o640, uid=3),
    images.symlink("l", "d/f"),
    images.entry("h", kind=tarfile.LNKTYPE, link="d/f"),
    images.entry("p", kind=tarfile.FIFOTYPE),
]


@pytest.mark.parametrize("compressed", [False, True])
def test_a_tree_whose_bytes_stay_where_they_are(spools: Spools, compressed: bool) -> None:
    data = images.tar(ENTRIES)
    tree = index(spools, gzip.compress(data) if compressed else data)
    assert [(path, node.kind) for path, node in tree.walk()] == [
        ("d", "directory"), ("d/f", "file"), ("h", "file"), ("l", "symlink"), ("p", "fifo"),
    ]  # fmt: skip
    node = tree.find("l")[0]
    assert node.source is not None
    assert (node.mode, node.uid, node.source.digest) == (0o640, 3, hashlib.sha256(b"content").digest())
    assert spools.read(node.source.spool, node.source.offset, node.source.size) == b"content"


def test_an_archive_inside_an_archive(spools: Spools) -> None:
    outer = index(spools, images.tar([images.entry("in.tar", images.tar(ENTRIES)), images.entry("no.tar", b"x" * 600)]))
    inner, other = outer.find("in.tar")[0].source, outer.find("no.tar")[0].source
    assert inner is not None
    assert other is not None
    assert archive_index.is_archive(spools, inner)
    assert not archive_index.is_archive(spools, other)
    assert archive_index.index(spools, inner.spool, LIMITS, inner.offset, inner.size).find("d/f")[0].mode == 0o640


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"x" * 1024, "invalid tar header"),
        (images.tar(ENTRIES)[:1600], "unexpected EOF"),
        (images.tar([images.entry("../x", b"")]), "outside of the archive"),
        (images.tar([images.entry("x" * 5000, b"")]), "a path of more than"),
        (images.tar([images.entry("h", kind=tarfile.LNKTYPE, link="none")]), "which is not there"),
        (images.tar([images.symlink("out", "/etc"), images.entry("out/x", b"")]), "'out/x': out: no such file"),
        (images.tar([images.entry("x", kind=b"Z")]), "unhandled tar header type"),
        (images.tar([images.entry(f"{number}", b"") for number in range(1001)]), "more than 1000 entries"),
        (gzip.compress(bytes(200 << 20)), "unpacks to more than"),
        (images.tar([images.entry(f"{number}" + "/d" * 2000) for number in range(60)]), "directories that no entry"),
        (images.tar([images.entry("x", pax={"SCHILY.xattr.user.x": "y" * 1_000_000})] * 70), "names, links and attr"),
    ],
)
def test_what_is_refused(spools: Spools, data: bytes, why: str) -> None:
    with pytest.raises(InvalidArgument, match=why):
        index(spools, data)
