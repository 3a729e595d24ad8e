from __future__ import annotations

from services.platform.adapters.native import Native
from shared.contracts.common import Platform


def test_it_serves_what_the_host_runs() -> None:
    adapter = Native("amd64")
    assert [adapter.serves(Platform(architecture=name)) for name in ("amd64", "386", "", "arm64")] == [
        True, True, True, False
    ]  # fmt: skip
    assert [each.architecture for each in adapter.platforms()] == ["amd64", "386"]
    adapter.prepare(Platform())
