from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest

from services.image_store.adapters.image_tree import ImageTree
from shared.errors import InvalidArgument, NotFound


@pytest.fixture
def layers(tmp_path: Path) -> list[Path]:
    """Three layers, the topmost first."""
    top, middle, bottom = (tmp_path / name for name in ("top", "middle", "bottom"))
    (bottom / "d/below").mkdir(parents=True)
    (bottom / "d/gone").write_text("gone")
    (bottom / "d/f").write_text("old")
    (bottom / "o/hidden").mkdir(parents=True)
    (bottom / "x").write_text("file")
    (middle / "d").mkdir(parents=True, mode=0o750)
    (middle / "d/f").write_text("new")
    (middle / "o").mkdir()
    os.setxattr(middle / "o", "trusted.overlay.opaque", b"y")
    (middle / "o/seen").write_text("")
    os.mknod(middle / "d/gone", 0o020000, os.makedev(0, 0))
    top.mkdir()
    (top / "l").symlink_to("/d/../d/f")
    (top / "loop").symlink_to("loop")
    (top / "up").symlink_to("../../../d")
    os.link(middle / "d/f", middle / "d/same")
    return [top, middle, bottom]


def names(layers: list[Path], path: str = "") -> list[str]:
    with ImageTree(layers) as tree, tarfile.open(fileobj=io.BytesIO(b"".join(tree.archive(path)))) as archive:
        return archive.getnames()


def test_layers_lie_over_one_another(layers: list[Path]) -> None:
    assert names(layers) == ["d", "d/below", "d/f", "d/same", "l", "loop", "o", "o/seen", "up", "x"]
    assert names(layers, "d") == ["below", "f", "same"]
    assert names(layers, "l") == ["f"]


def test_what_is_found(layers: list[Path]) -> None:
    with ImageTree(layers) as tree:
        assert tree.read("l", 10) == b"new"
        assert tree.read("d", 10) == tree.read("none", 10) == b""
        resolved = tree.resolve("up/below")
        assert (resolved.path, [path for path, _ in resolved.above]) == ("d/below", ["", "d", "d/below"])
        assert resolved.above[1][1].st_mode & 0o777 == 0o750
        missing = tree.resolve("/up/new/../deep/er")
        assert (missing.path, missing.found) == ("d/deep/er", None)
        assert tree.resolve("x/y").found is None
        assert tree.resolve("d/gone").found is None
        with pytest.raises(InvalidArgument, match="too many levels"):
            tree.resolve("loop")
        with pytest.raises(NotFound):
            list(tree.archive("d/gone"))


def test_patterns(layers: list[Path]) -> None:
    with ImageTree(layers) as tree:
        assert tree.match("*/*e*") == ["d/below", "d/same", "o/seen"]
        assert tree.match("[") == tree.match("?/" * 600 + "x") == []


def test_hard_links_and_descriptors(layers: list[Path]) -> None:
    before = len(os.listdir("/proc/self/fd"))
    with ImageTree(layers) as tree, tarfile.open(fileobj=io.BytesIO(b"".join(tree.archive("")))) as archive:
        assert archive.getmember("d/same").linkname == "d/f"
    assert len(os.listdir("/proc/self/fd")) == before


def test_nothing() -> None:
    with ImageTree([]) as tree:
        assert tree.resolve("/a/../b").path == "b"
        assert tree.resolve("").found is None
        assert tree.match("*") == []
