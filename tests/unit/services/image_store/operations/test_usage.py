from __future__ import annotations

import os
from pathlib import Path

from services.image_store.operations.usage import tree_size
from shared.archive.remove_tree import remove_tree
from shared.contracts import image_store as contract
from tests.support.image_store import Store, small
from tools.images import docker_archive


def test_sizes_as_docker_counts_them(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d/file").write_bytes(b"12345")
    os.link(tmp_path / "d/file", tmp_path / "again")
    (tmp_path / "link").symlink_to("/etc")
    (tmp_path / "other").write_bytes(b"1")
    assert tree_size(str(tmp_path)) == 5 + 4 + 1
    assert tree_size(str(tmp_path / "nothing")) == 0


def test_a_tree_deeper_than_any_path(tmp_path: Path) -> None:
    (tmp_path / "top").mkdir()
    (tmp_path / "top/file").write_bytes(b"12")
    held = os.open(tmp_path / "top", os.O_RDONLY)
    for _ in range(1200):
        os.mkdir("d" * 9, dir_fd=held)
        held, outer = os.open("d" * 9, os.O_RDONLY, dir_fd=held), held
        os.close(outer)
    os.close(held)
    assert tree_size(str(tmp_path / "top")) == 2
    remove_tree(str(tmp_path / "top"))


async def test_layers_count_once_and_writable_ones_by_themselves(store: Store) -> None:
    one, two = small("a:1", content=b"1", below=b"same"), small("b:1", content=b"22", below=b"same")
    for image in (one, two):
        await store.load(docker_archive(image))
    for key in ("c1", "c2"):
        snapshot = await store.prepare(key, "a:1")
        Path(snapshot.upper, "written").write_bytes(b"123")
    reply = await store.call(contract.USAGE, contract.UsageRequest())
    assert reply.layers == 4 + 1 + 2
    assert reply.images == {one.id: 5, two.id: 6}
    assert reply.snapshots == {"c1": 3, "c2": 3}
    reply = await store.call(contract.USAGE, contract.UsageRequest(keys=("c2", "unknown")))
    assert reply.snapshots == {"c2": 3}
