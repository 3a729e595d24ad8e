from __future__ import annotations

import gzip
import json
import tarfile
from pathlib import Path

import pytest

from tools.bench.debian_image import DebianImage, describe, pack, sha256, variant


def test_a_tree_becomes_an_image(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "usr").mkdir(parents=True)
    (tree / "usr/file").write_text("text")
    pack(tree, tmp_path / "0.tar")
    describe(tmp_path, 1)
    image = DebianImage(tmp_path)
    with tarfile.open(image.archive) as archive:
        assert archive.getnames() == ["config.json", "0.tar", "manifest.json"]
        manifest = json.load(archive.extractfile("manifest.json"))  # type: ignore[arg-type]
    assert manifest[0]["Layers"] == ["0.tar"]
    with tarfile.open(image.layer(0)) as layer:
        assert layer.getnames() == ["usr", "usr/file"]
    assert json.loads(image.config)["rootfs"]["diff_ids"] == [f"sha256:{sha256(image.layer(0))}"]
    assert gzip.decompress(image.layer(0, ".tar.gz").read_bytes()) == image.layer(0).read_bytes()


def test_no_layer_of_a_variant_is_that_of_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tools.bench.debian_image.LAYERS", (("one",),))
    monkeypatch.setattr("tools.bench.debian_image.CACHE", tmp_path)
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/file").write_text("text")
    pack(tmp_path / "tree", tmp_path / "0.tar")
    with variant(DebianImage(tmp_path)) as one, variant(DebianImage(tmp_path)) as other:
        assert one.name != other.name
        assert sha256(one.layer(0)) != sha256(other.layer(0))
        with tarfile.open(one.layer(0)) as layer:
            assert layer.getnames() == ["usr/bench-variant", "file"]
        assert gzip.decompress(one.layer(0, ".tar.gz").read_bytes()) == one.layer(0).read_bytes()
