"""When pages cannot come any more, nobody reads what is not there. The rest of the target is tested with the source."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.platform.mover import link, target
from tests.unit.services.platform.mover import test_source
from tests.unit.services.platform.mover.test_source import Move

move = test_source.move


def test_a_source_that_is_gone_with_pages_is_the_end(move: Move, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its connection is cut before it has sent them."""
    monkeypatch.setattr(link.Link, "send", cut_at(link.PAGES, link.Link.send))
    move.dump()
    move.source.hear("failed")
    assert move.target.hear(target.LOST)["reason"]
    move.target.ended()
    assert move.target.failed
    assert (move.folder / "moved" / target.LOST).exists()


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
        made._write(name, b"x")
