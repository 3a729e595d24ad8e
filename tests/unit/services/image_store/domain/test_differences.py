from __future__ import annotations

import os
import stat

import pytest

from services.image_store.domain.differences import ADDED, DELETED, MODIFIED, complete, different, same_time
from shared.contracts.image_store import Change

SECOND = 10**9


def status(
    mode: int = stat.S_IFREG | 0o644, size: int = 5, mtime: int = 7 * SECOND + 1, uid: int = 0
) -> os.stat_result:
    return os.stat_result((mode, 1, 1, 1, uid, 0, size, 0, 0, 0), {"st_mtime_ns": mtime, "st_rdev": 0})


@pytest.mark.parametrize(
    ("new", "changed"),
    [
        (status(), False),
        (status(mtime=7 * SECOND), False),
        (status(mtime=7 * SECOND + 2), True),
        (status(mtime=8 * SECOND), True),
        (status(size=6), True),
        (status(uid=1), True),
        (status(mode=stat.S_IFREG | 0o600), True),
        (status(mode=stat.S_IFLNK | 0o644), True),
    ],
)
def test_of_a_file(new: os.stat_result, changed: bool) -> None:
    assert different(status(), new) is changed


def test_of_a_directory_only_what_is_its_own() -> None:
    folder = stat.S_IFDIR | 0o755
    assert not different(status(folder), status(folder, size=9, mtime=99 * SECOND))
    assert different(status(folder), status(folder, uid=3))


def test_times() -> None:
    assert same_time(status(mtime=SECOND), status(mtime=SECOND + 5))
    assert not same_time(status(mtime=SECOND + 1), status(mtime=SECOND + 5))


def test_what_is_in_a_directory_changes_it() -> None:
    found = complete({"/a/b/c": ADDED, "/a": DELETED, "/x": MODIFIED, "/d/e/f": DELETED})
    assert list(found) == [
        Change(path="/a", kind=DELETED),
        Change(path="/a/b", kind=MODIFIED),
        Change(path="/a/b/c", kind=ADDED),
        Change(path="/d", kind=MODIFIED),
        Change(path="/d/e", kind=MODIFIED),
        Change(path="/d/e/f", kind=DELETED),
        Change(path="/x", kind=MODIFIED),
    ]
