from __future__ import annotations

from pathlib import Path

import pytest

from services.image_store.adapters.layout import StoreLayout
from services.image_store.adapters.leases_local import LocalLeases
from services.image_store.ports import Kept


def test_what_is_put_is_read(tmp_path: Path) -> None:
    layout = StoreLayout(tmp_path)
    layout.open()
    leases = LocalLeases(layout)
    kept = Kept(blobs=("sha256:a",), chains=("sha256:b",), until=7)
    leases.put("image-1", kept)
    leases.put("image-1", kept)
    leases.put("image-2", Kept())
    assert LocalLeases(layout).read() == {"image-1": kept, "image-2": Kept()}
    for _ in range(2):
        leases.drop("image-2")
    assert LocalLeases(layout).read() == {"image-1": kept}
    assert list(layout.ingest.iterdir()) == []


def test_what_cannot_be_put_leaves_nothing(tmp_path: Path) -> None:
    layout = StoreLayout(tmp_path)
    layout.open()
    (layout.leases / "image-1").mkdir()
    with pytest.raises(OSError, match="image-1"):
        LocalLeases(layout).put("image-1", Kept())
    assert list(layout.ingest.iterdir()) == []
