from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from services.image_store.adapters.layout import StoreLayout
from services.image_store.adapters.snapshot_overlay import SPARES, OverlaySnapshots
from services.image_store.ports import Layer
from shared.contracts.common import Descriptor
from shared.digest import digest_of
from shared.errors import InvalidArgument

IMAGE = digest_of(b"image")
TOP = Layer(
    chain_id=digest_of(b"top"), parent=digest_of(b"bottom"), diff_id="", size=0,
    blob=Descriptor(media_type="m", digest="d", size=0), link="aaa", mode=0o1777, uid=3, gid=4,
)  # fmt: skip
BOTTOM = Layer(chain_id=digest_of(b"bottom"), parent="", diff_id="", size=0, blob=TOP.blob, link="bbb")


@pytest.fixture
def snapshots(layout: StoreLayout) -> OverlaySnapshots:
    made = OverlaySnapshots(layout)
    made.open()
    return made


def options(mounts: tuple[object, ...]) -> dict[str, str]:
    (mount,) = mounts
    return dict(option.partition("=")[::2] for option in mount.options)  # type: ignore[attr-defined]


def test_an_overlay_of_the_layers_with_a_place_to_write(layout: StoreLayout, snapshots: OverlaySnapshots) -> None:
    mounts = snapshots.prepare("c1", IMAGE, (TOP, BOTTOM))
    given = options(mounts)
    assert (mounts[0].type, mounts[0].source) == ("overlay", "overlay")
    assert given["lowerdir"] == f"{layout.links}/aaa:{layout.links}/bbb:{layout.init}"
    assert Path(given["upperdir"]) == snapshots.upper("c1")
    status = os.stat(given["upperdir"])
    assert (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid) == (0o1777, 3, 4)
    assert os.listdir(given["workdir"]) == []


def test_asking_again_gives_the_same(snapshots: OverlaySnapshots) -> None:
    first = snapshots.prepare("c1", IMAGE, (BOTTOM,))
    (snapshots.upper("c1") / "written").touch()
    assert snapshots.prepare("c1", IMAGE, (BOTTOM,)) == first == snapshots.mounts("c1", (BOTTOM,))
    assert (snapshots.upper("c1") / "written").exists()
    with pytest.raises(InvalidArgument, match="is there already"):
        snapshots.prepare("c1", digest_of(b"other"), (BOTTOM,))


def test_without_layers_only_the_places_to_mount_on_are_below(layout: StoreLayout, snapshots: OverlaySnapshots) -> None:
    assert options(snapshots.prepare("c1", IMAGE, ()))["lowerdir"] == str(layout.init)
    assert snapshots.chains() == set()


def test_a_restart_finds_them_and_forgets_what_was_not_finished(
    layout: StoreLayout, snapshots: OverlaySnapshots
) -> None:
    snapshots.stock()
    snapshots.prepare("c1", IMAGE, (TOP, BOTTOM))
    (layout.snapshots / "half").mkdir()
    after = OverlaySnapshots(layout)
    after.open()
    assert after.find("c1") == (IMAGE, TOP.chain_id)
    assert (after.keys(), after.chains()) == (("c1",), {TOP.chain_id})
    assert list(layout.spares.iterdir()) == []
    assert not (layout.snapshots / "half").exists()


def test_spares_are_used_and_filled_up(layout: StoreLayout, snapshots: OverlaySnapshots) -> None:
    short = [snapshots.short_of_spares]
    snapshots.stock()
    assert len(list(layout.spares.iterdir())) == SPARES
    assert [*short, snapshots.short_of_spares] == [True, False]
    for number in range(SPARES + 1):
        snapshots.prepare(f"c{number}", IMAGE, (BOTTOM,))
    assert list(layout.spares.iterdir()) == []
    assert len(snapshots.keys()) == SPARES + 1


def test_release_is_at_once_and_may_be_repeated(layout: StoreLayout, snapshots: OverlaySnapshots) -> None:
    snapshots.prepare("c1", IMAGE, (BOTTOM,))
    snapshots.release("c1")
    snapshots.release("c1")
    assert snapshots.find("c1") is None
    assert list(layout.snapshots.iterdir()) == []


@pytest.mark.parametrize("key", ["", ".", "..", "a/b", "../x", "a\0", "x" * 300])
def test_keys_that_are_no_names(snapshots: OverlaySnapshots, key: str) -> None:
    with pytest.raises(InvalidArgument, match="key:"):
        snapshots.prepare(key, IMAGE, (BOTTOM,))
    with pytest.raises(InvalidArgument, match="key:"):
        snapshots.release(key)


def test_taken_it_is_no_snapshot_any_more(snapshots: OverlaySnapshots, tmp_path: Path) -> None:
    snapshots.prepare("c1", IMAGE, (BOTTOM,))
    (snapshots.upper("c1") / "written").touch()
    upper = snapshots.take("c1", tmp_path)
    assert (os.listdir(upper), snapshots.find("c1"), upper.is_relative_to(tmp_path)) == (["written"], None, True)
