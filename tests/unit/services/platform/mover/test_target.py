"""When pages cannot come any more, nobody reads what is not there. The rest of the target is tested with the source."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from services.platform.adapters.cgroup import Cgroups
from services.platform.mover import link, target
from tests.unit.services.platform.mover import test_source
from tests.unit.services.platform.mover.test_source import Move

move = test_source.move


def config(groups: Cgroups, group: str) -> dict[str, object]:
    words = ("1", "0") if groups.v2 else ("FROZEN", "THAWED")
    folder = groups.directory(group, "freezer")
    return {
        "freezer": str(folder / ("cgroup.freeze" if groups.v2 else "freezer.state")),
        "frozen": words[0],
        "thawed": words[1],
        "members": str(folder / "cgroup.procs"),
        "v2": groups.v2,
    }


def test_all_processes_of_a_group_end(tmp_path: Path) -> None:
    groups, group = Cgroups(), f"/shoal-test-mover-{os.getpid()}"
    groups.prepare(group, ())
    process = subprocess.Popen([sys.executable, "-c", "import time\nwhile True:\n time.sleep(0.001)"])
    try:
        for folder in groups.folders(group):
            (folder / "cgroup.procs").write_text(str(process.pid))
        target.end_group(config(groups, group))
        assert process.wait(10) == -9
        assert groups.processes(group) == []
        assert not groups.frozen(group)
    finally:
        process.kill()
        process.wait()
        groups.remove(group)


@pytest.mark.parametrize("move", [{"program": "#!/bin/sh\nexec sleep 1000\n"}], indirect=True)
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
