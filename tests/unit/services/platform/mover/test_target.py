"""When pages cannot come any more, nobody reads what is not there. The rest of the target is tested with the source."""

from __future__ import annotations

import select
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from services.platform.mover import link, source, target
from services.platform.mover.absent import Absent
from services.platform.mover.store import PAGE
from tests.unit.services.platform.mover import test_source
from tests.unit.services.platform.mover.test_absent import ZEROS, Restored
from tests.unit.services.platform.mover.test_source import PROCESS, Move

followed, move = test_source.followed, test_source.move


def test_a_source_that_is_gone_with_pages_is_the_end(move: Move, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its connection is cut before it has sent them."""
    monkeypatch.setattr(link.Link, "send", cut_at(link.PAGES, link.Link.send))
    move.dump()
    move.source.hear("failed")
    assert move.target.hear(target.LOST)["reason"]
    move.target.ended()
    assert move.target.failed
    assert (move.folder / "moved" / target.LOST).exists()


def test_a_fault_that_is_heard_when_the_source_goes_is_served(move: Move, monkeypatch: pytest.MonkeyPatch) -> None:
    """The end of the link breaks off what is done in that turn."""
    hear, receive, push = Absent.hear, link.Link.receive, source.Source._push
    done: Any = vars(Absent)["done"].fget
    made: list[Absent] = []
    here, ended = threading.Event(), threading.Event()

    def noted(self: Absent, ready: set[int]) -> None:
        made.append(self)
        hear(self, ready)
        if self._processes:
            here.set()

    def late(self: source.Source, pages: Iterator[int]) -> None:
        assert here.wait(30)
        push(self, pages)

    def at_its_end(self: link.Link) -> link.Frame:
        try:
            return receive(self)
        except ConnectionError:
            restored.begin("read", move.start + move.pages * PAGE, 1)
            select.select(list(made[0]._processes), (), ())
            hear(made[0], set(made[0]._processes))
            ended.set()
            raise

    monkeypatch.setattr(Absent, "hear", noted)
    monkeypatch.setattr(Absent, "done", property(lambda self: ended.is_set() and done(self)))
    monkeypatch.setattr(source.Source, "_push", late)
    monkeypatch.setattr(link.Link, "receive", at_its_end)
    move.dump()
    restored = move.process = Restored(move.folder / "images", move.start, move.pages + 1, PROCESS)
    move.keep()
    assert restored.said() == ZEROS
    assert ended.is_set()


def cut_at(kind: bytes, send):
    def sending(self: link.Link, what: bytes, *more, **fields) -> None:
        if what == kind:
            self._connection.close()
        send(self, what, *more, **fields)

    return sending


@pytest.mark.parametrize("name", ["../x", "", "a/b", ".hidden"])
def test_images_have_plain_names(tmp_path: Path, name: str) -> None:
    made = target.Target.__new__(target.Target)
    made._images = tmp_path
    with pytest.raises(ValueError, match="no name of an image"):
        made._write(name, b"x", "wb")
