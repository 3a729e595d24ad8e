from __future__ import annotations

import json
from pathlib import Path

from services.image_store.adapters.layout import StoreLayout


def test_the_folders_are_the_engines_alone(layout: StoreLayout) -> None:
    assert json.loads((layout.root / "oci-layout").read_bytes()) == {"imageLayoutVersion": "1.0.0"}
    for path in (layout.root, layout.blobs, layout.layers, layout.snapshots, layout.trash):
        assert path.stat().st_mode & 0o777 == 0o700


def test_what_was_being_taken_in_is_swept(layout: StoreLayout) -> None:
    (layout.ingest / "x/deep").mkdir(parents=True)
    (layout.ingest / "y").touch()
    StoreLayout(layout.root).open()
    assert list(layout.ingest.iterdir()) == []
    assert len(list(layout.trash.iterdir())) == 2
    layout.empty_trash()
    assert list(layout.trash.iterdir()) == []


def test_discarding_what_is_not_there(layout: StoreLayout, tmp_path: Path) -> None:
    assert layout.discard(tmp_path / "nothing") is None


def test_the_reserve_is_not_kept_again_while_its_space_is_needed(layout: StoreLayout) -> None:
    reserve = layout.root / "reserve"
    layout.empty_trash()
    assert reserve.stat().st_blocks
    with layout.reserve_given():
        layout.empty_trash()
        assert not reserve.exists()
    layout.empty_trash()
    assert reserve.exists()
