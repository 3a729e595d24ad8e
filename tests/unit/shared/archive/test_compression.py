from __future__ import annotations

import bz2
import gzip
import lzma

import pytest
import zstandard

from shared.archive.compression import Compression, recognise


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (gzip.compress(b"x"), "gzip"),
        (zstandard.compress(b"x"), "zstd"),
        (bz2.compress(b"x"), "bzip2"),
        (lzma.compress(b"x"), "xz"),
        (b"etc/passwd\0", "none"),
        (b"", "none"),
    ],
)
def test_the_beginning_tells(data: bytes, expected: Compression) -> None:
    assert recognise(data) == expected
