from __future__ import annotations

import os
from pathlib import Path

import pytest

from services.image_store.adapters.layout import StoreLayout
from services.image_store.adapters.partials import KEPT_SECONDS, LocalPartials
from shared import clock

A, B = "sha256:" + "a" * 64, "sha256:" + "b" * 64


@pytest.fixture
def partials(tmp_path: Path) -> LocalPartials:
    layout = StoreLayout(tmp_path / "store")
    layout.open()
    return LocalPartials(layout)


def test_what_came_stays_over_a_restart(partials: LocalPartials, tmp_path: Path) -> None:
    partials.path(A).write_bytes(b"half")
    again = StoreLayout(tmp_path / "store")
    again.open()
    assert LocalPartials(again).path(A).read_bytes() == b"half"
    partials.discard(A)
    partials.discard(A)
    assert not partials.path(A).exists()


def test_sweeping(partials: LocalPartials) -> None:
    for digest in (A, B):
        partials.path(digest).write_bytes(b"half")
    old = clock.now_ns() // 10**9 - KEPT_SECONDS - 1
    os.utime(partials.path(A), (old, old))
    assert partials.sweep({A}) == 0
    assert partials.sweep(set()) == 4
    assert (partials.path(A).exists(), partials.path(B).exists()) == (False, True)
    assert partials.sweep({B}, all_=True) == 0
    assert partials.sweep(set(), all_=True) == 4
