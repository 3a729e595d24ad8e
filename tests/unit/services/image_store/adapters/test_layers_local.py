from __future__ import annotations

import os
import stat
from pathlib import Path

import msgspec
import pytest

from services.image_store.adapters.layers_local import LocalLayers
from services.image_store.adapters.layout import StoreLayout
from services.image_store.ports import Layer, Unpacked
from shared.contracts.common import Descriptor
from shared.digest import digest_of, hex_of
from shared.errors import DataLoss

BLOB = Descriptor(media_type="m", digest=digest_of(b"blob"), size=1)
UNPACKED = Unpacked(digest="", bytes=1, size=1)


@pytest.fixture
def layers(layout: StoreLayout) -> LocalLayers:
    made = LocalLayers(layout)
    made.open()
    return made


def layer(seed: str, parent: str = "") -> Layer:
    return Layer(chain_id=digest_of(seed.encode()), parent=parent, diff_id=digest_of(seed.encode()), size=1, blob=BLOB)


def tree(layout: StoreLayout, name: str = "t") -> Path:
    folder = layout.ingest / name
    (folder / "diff").mkdir(parents=True, mode=0o755)
    return folder


async def test_a_layer_is_there_whole_and_after_a_restart(layout: StoreLayout, layers: LocalLayers) -> None:
    folder = tree(layout)
    (folder / "diff/f").write_text("x")
    (folder / "diff").chmod(0o1711)
    os.chown(folder / "diff", 5, 6)
    put = await layers.put(layer("a"), folder, UNPACKED)
    assert (put.mode, put.uid, put.gid) == (0o1711, 5, 6)
    assert (layers.link(put) / "f").read_text() == "x"
    assert len(put.link) == 6
    again = LocalLayers(layout)
    again.open()
    assert again.get(put.chain_id) == put
    assert again.all() == (put,)


async def test_links_grow_where_they_would_be_the_same(layout: StoreLayout, layers: LocalLayers) -> None:
    first = await layers.put(layer("a"), tree(layout), UNPACKED)
    twin = hex_of(first.chain_id)[:7] + "0" * 57
    second = await layers.put(msgspec.structs.replace(first, chain_id=f"sha256:{twin}"), tree(layout), UNPACKED)
    assert (len(first.link), len(second.link)) == (6, 8 if twin[7] == hex_of(first.chain_id)[7] else 7)


async def test_lineage_top_first(layout: StoreLayout, layers: LocalLayers) -> None:
    bottom = await layers.put(layer("a"), tree(layout), UNPACKED)
    top = await layers.put(layer("b", bottom.chain_id), tree(layout), UNPACKED)
    assert layers.lineage(top.chain_id) == (top, bottom)
    assert layers.lineage("") == ()
    await layers.delete([bottom.chain_id])
    with pytest.raises(DataLoss, match="is missing"):
        layers.lineage(top.chain_id)


async def test_a_deleted_layer_is_out_of_the_way_at_once(layout: StoreLayout, layers: LocalLayers) -> None:
    put = await layers.put(layer("a"), tree(layout), UNPACKED)
    await layers.delete([put.chain_id, "sha256:never"])
    assert layers.get(put.chain_id) is None
    assert [*layout.layers.iterdir(), *layout.links.iterdir()] == []
    assert len(list(layout.trash.iterdir())) == 1


async def test_only_the_store_sets_what_overlayfs_trusts(layout: StoreLayout, layers: LocalLayers) -> None:
    folder = tree(layout)
    (folder / "diff/usr/lib").mkdir(parents=True)
    (folder / "diff/lib").symlink_to("/usr/lib")
    told = Unpacked(digest="", bytes=1, size=1, opaque=("lib", "replaced/since"))
    put = await layers.put(layer("a"), folder, told)
    assert os.getxattr(layers.directory(put) / "diff/usr/lib", "trusted.overlay.opaque") == b"y"


async def test_directories_nobody_described_look_as_below(layout: StoreLayout, layers: LocalLayers) -> None:
    below = tree(layout)
    (below / "diff/d").mkdir()
    os.chown(below / "diff/d", 1, 2)
    (below / "diff/d").chmod(0o2770)
    (below / "diff").chmod(0o700)
    bottom = await layers.put(layer("a"), below, UNPACKED)
    above = tree(layout)
    (above / "diff/d/new").mkdir(parents=True)
    told = Unpacked(digest="", bytes=1, size=1, implied=("", "d", "d/new"))
    top = await layers.put(layer("b", bottom.chain_id), above, told)
    status = (layers.directory(top) / "diff/d").stat()
    assert (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid) == (0o2770, 1, 2)
    assert top.mode == 0o700


async def test_what_was_not_synced_is_lost_with_the_power(layout: StoreLayout, layers: LocalLayers) -> None:
    kept = await layers.put(layer("a"), tree(layout), UNPACKED)
    await layers.settle()
    lost = await layers.put(layer("b"), tree(layout), UNPACKED)
    for path in layout.layers.iterdir():
        record = path / "layer.json"
        record.write_bytes(record.read_bytes().replace(b'"boot":"', b'"boot":"earlier-'))
    after = LocalLayers(layout)
    after.open()
    assert after.all() == (kept,)
    assert [path.name for path in layout.links.iterdir()] == [kept.link]
    assert not layers.directory(lost).exists()


async def test_records_that_are_unreadable(layout: StoreLayout, layers: LocalLayers) -> None:
    put = await layers.put(layer("a"), tree(layout), UNPACKED)
    (layers.directory(put) / "layer.json").write_bytes(b"")
    after = LocalLayers(layout)
    after.open()
    assert after.all() == ()
