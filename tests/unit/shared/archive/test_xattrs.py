from __future__ import annotations

import os
from pathlib import Path

import pytest

from shared.archive.xattrs import keeps_xattr, read_xattrs


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("user.mime", True),
        ("security.capability", True),
        ("system.posix_acl_access", True),
        ("user.overlay.opaque", False),
        ("trusted.overlay.opaque", False),
        ("trusted.overlay.redirect", False),
        ("trusted.shoal.image", False),
        ("security.selinux", False),
        ("security.ima", False),
    ],
)
def test_which_attributes_an_archive_may_set(name: str, kept: bool) -> None:
    assert keeps_xattr(name) is kept


def test_read_are_only_those(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.touch()
    os.setxattr(path, "trusted.mine", b"1")
    os.setxattr(path, "security.capability", b"\1\0\0\2\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0")
    with open(path) as file:
        assert set(read_xattrs(file.fileno())) == {"security.capability"}
