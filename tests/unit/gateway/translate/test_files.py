from __future__ import annotations

import base64
import json
import stat

import pytest

from gateway.translate.files import go_mode, path_stat, time
from shared.contracts.execs import PathStat


@pytest.mark.parametrize(
    ("mode", "shown"),
    [
        (stat.S_IFREG | 0o644, 0o644),
        (stat.S_IFDIR | 0o755, 2147484141),
        (stat.S_IFDIR | 0o1777, 2148532735),
        (stat.S_IFREG | 0o4755, 8389101),
        (stat.S_IFREG | 0o2755, 0o755 | 1 << 22),
        (stat.S_IFLNK | 0o777, 134218239),
        (stat.S_IFIFO | 0o644, 33554852),
        (stat.S_IFCHR | 0o644, 69206436),
        (stat.S_IFBLK | 0o600, 0o600 | 1 << 26),
        (stat.S_IFSOCK | 0o600, 0o600 | 1 << 24),
    ],
)
def test_modes_as_dockerd_shows_them(mode: int, shown: int) -> None:
    assert go_mode(mode) == shown


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (1_500_000_000, "1970-01-01T00:00:01.5Z"),
        (-1, "1969-12-31T23:59:59.999999999Z"),
        (1 << 62, "2116-02-20T23:53:38.427387904Z"),
        (1 << 70, "9999-12-31T23:59:59.411303424Z"),
    ],
)
def test_any_time_a_file_may_have(nanoseconds: int, text: str) -> None:
    assert time(nanoseconds) == text


def test_the_header() -> None:
    name = b"\xff".decode("utf-8", "surrogateescape")
    shown = json.loads(
        base64.b64decode(path_stat(PathStat(name=name, size=1, mode=0o100644, mtime=1, link_target="/t")))
    )
    assert shown == {
        "name": "\ufffd", "size": 1, "mode": 0o644, "mtime": "1970-01-01T00:00:00.000000001Z", "linkTarget": "/t",
    }  # fmt: skip
