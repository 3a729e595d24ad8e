from __future__ import annotations

import os
from pathlib import Path

import pytest

from services.builder.adapters.mount_files import MountFiles, size_of
from services.builder.adapters.spool import Spools
from services.builder.domain.tree import FILE, SYMLINK, Node, Source, Tree, directory


@pytest.fixture
def files(tmp_path: Path) -> MountFiles:
    return MountFiles(tmp_path / "state", tmp_path / "run")


def test_a_cache_stays_as_it_was_made(files: MountFiles, spools: Spools) -> None:
    path = files.cache("npm", directory(0o750, 5, 6), spools)
    (path / "f").write_bytes(b"12345")
    assert files.cache("npm", directory(0o700), spools) == path
    status = path.stat()
    assert (status.st_mode & 0o777, status.st_uid, status.st_gid) == (0o750, 5, 6)
    assert files.cache("other", directory(), spools) != path
    files.sweep()
    assert size_of(path) == 5
    given_up = files.give_up(path.name)
    assert files.caches() != [again := files.cache("npm", directory(), spools)]
    assert (size_of(given_up), size_of(again)) == (5, 0)
    files.remove(given_up)
    files.remove(files.give_up("none"))


def test_a_secret_is_gone_with_its_step(files: MountFiles) -> None:
    path = files.secret(b"s", 0o440, 1, 2)
    status = path.stat()
    assert (path.read_bytes(), status.st_mode & 0o777, status.st_uid, status.st_gid) == (b"s", 0o440, 1, 2)
    assert path.parent.stat().st_mode & 0o777 == 0o700
    files.remove(path)
    assert not path.exists()


def test_a_tree_is_written_without_following_its_links(files: MountFiles, spools: Spools, tmp_path: Path) -> None:
    number = spools.new()
    spools.append(number, b"text")
    made = Tree()
    made.put("d", directory(0o711, 3, 4))
    made.put("d/f", Node(FILE, 0o4755, 5, 6, 7 * 10**9, source=Source(number, 0, 4, b"")))
    made.put("out", Node(SYMLINK, link=str(tmp_path)))
    path, alone = files.place(), files.place()
    files.write(path, made.root, spools)
    status = os.lstat(path / "d/f")
    assert ((path / "d/f").read_bytes(), status.st_mode & 0o7777, status.st_uid, status.st_mtime) == (
        b"text",
        0o4755,
        5,
        7,
    )
    assert ((path / "d").stat().st_mode & 0o777, os.readlink(path / "out")) == (0o711, str(tmp_path))
    files.write(alone, made.find("d/f")[0], spools)
    assert alone.read_bytes() == b"text"
    files.remove(path)
    files.remove(alone)
    assert os.listdir(tmp_path / "state/mounts") == []
