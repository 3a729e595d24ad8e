from __future__ import annotations

from pathlib import Path

import pytest

from services.image_store.adapters.layout import StoreLayout
from services.image_store.adapters.leases_local import LocalLeases
from services.image_store.operations.leases import Lease, Leases
from shared import clock


@pytest.fixture
def files(tmp_path: Path) -> LocalLeases:
    layout = StoreLayout(tmp_path)
    layout.open()
    return LocalLeases(layout)


def test_running_and_kept_ones_together(files: LocalLeases) -> None:
    leases = Leases(files)
    running = leases.begin()
    running.blobs.add("a")
    leases.keep("x", ["b"], ["c"])
    assert leases.needed() == Lease({"a", "b"}, {"c"})
    leases.end(running)
    assert leases.needed() == Lease({"b"}, {"c"})
    kept = leases.drop("x")
    assert kept is not None
    assert kept.blobs == ("b",)
    assert leases.needed() == Lease()
    assert leases.drop("x") is None


def test_the_next_process_goes_on_with_them(files: LocalLeases, monkeypatch: pytest.MonkeyPatch) -> None:
    first = Leases(files)
    first.keep("x", ["a"], ["b"], seconds=10)
    first.keep("y", ["c"], seconds=20)
    begun = clock.now_ns()
    monkeypatch.setattr(clock, "now_ns", lambda: begun + 15_000_000_000)
    second = Leases(files)
    second.open()
    assert (second.names(), second.needed()) == (("y",), Lease({"c"}))
    assert 0 < second.left("y") <= 5
    assert second.left("x") == 0
    assert second.sweep(["y"]) == Lease({"c"})
    assert files.read() == {}


def test_a_file_that_a_power_cut_tore(files: LocalLeases, tmp_path: Path) -> None:
    (tmp_path / "leases/torn").write_bytes(b'{"blobs":["a')
    (tmp_path / "leases/empty").touch()
    leases = Leases(files)
    leases.open()
    assert leases.names() == ()
    assert list((tmp_path / "leases").iterdir()) == []


def test_images_are_held_under_keys(files: LocalLeases, monkeypatch: pytest.MonkeyPatch) -> None:
    leases = Leases(files)
    for key, image in (("build 1", "a"), ("build 1", "b"), ("build/../2", "b")):
        leases.add(key, image)
    assert leases.images() == {"a", "b"}
    leases.end_key("build 1")
    leases.end_key("nobody's")
    assert leases.images() == {"b"}
    again = Leases(files)
    again.open()
    assert again.images() == {"b"}
    begun = clock.now_ns()
    monkeypatch.setattr(clock, "now_ns", lambda: begun + 25 * 3600 * 1_000_000_000)
    assert again.images() == frozenset()
