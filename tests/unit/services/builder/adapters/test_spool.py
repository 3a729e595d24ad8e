from __future__ import annotations

import os

from services.builder.adapters.spool import Spools


def test_files_without_a_name(spools: Spools) -> None:
    first, second = spools.new(), spools.new()
    spools.append(first, b"abc")
    spools.append(second, memoryview(b"x"))
    spools.append(first, b"def")
    assert (spools.size(first), spools.read(first, 2, 3), spools.read(second, 0, 9)) == (6, b"cde", b"x")
    assert os.listdir(spools._folder) == []
    spools.close()
