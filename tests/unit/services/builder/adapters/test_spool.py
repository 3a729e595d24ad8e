from __future__ import annotations

import os
from pathlib import Path

from services.builder.adapters.spool import Spools, sweep


def test_files_without_a_name(spools: Spools) -> None:
    first, second = spools.new(), spools.new()
    spools.append(first, b"abc")
    spools.append(second, memoryview(b"x"))
    spools.append(first, b"def")
    assert (spools.size(first), spools.read(first, 2, 3), spools.read(second, 0, 9)) == (6, b"cde", b"x")
    assert os.listdir(spools._folder) == []
    spools.close()


async def test_folders_go_and_what_a_crash_leaves_is_swept(tmp_path: Path) -> None:
    spools = Spools(tmp_path)
    async with spools.folder() as folder:
        (folder / "x").write_text("x")
    assert not folder.exists()
    (tmp_path / "folders" / "left").mkdir()
    sweep(tmp_path)
    assert list(tmp_path.iterdir()) == []
