from __future__ import annotations

import gzip
import json
import tarfile
from pathlib import Path

from tools.bench.debian_image import DebianImage, describe, pack, sha256


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
