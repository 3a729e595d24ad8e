from __future__ import annotations

import pytest

from services.executor.domain import checkpoints
from shared.errors import InvalidArgument


@pytest.mark.parametrize("name", ["", "a", ".a", "a/b", "../a", "ab.", "a b", "ab\n"])
def test_refused(name: str) -> None:
    with pytest.raises(InvalidArgument, match=r"invalid checkpoint ID .*, only \[a-zA-Z0-9\]\[a-zA-Z0-9_.-\] are"):
        checkpoints.check(name)
    for usable in ("ab", "a.b", "A-1_2", "0x"):
        checkpoints.check(usable)


def test_folders() -> None:
    assert checkpoints.folder("/own", "c1", "") == "/own/c1"
    assert checkpoints.folder("/own", "c1", "/else/where/") == "/else/where"
    assert checkpoints.folder("/own", "c1", "/") == "/"
    for asked in ("here", "../x", "/x\0"):
        with pytest.raises(InvalidArgument, match="is not an absolute path"):
            checkpoints.folder("/own", "c1", asked)


def test_missing() -> None:
    assert checkpoints.missing("one", "/web").message == "checkpoint one does not exist for container /web"
