from __future__ import annotations

import msgspec

from services.executor.domain.validation import Host
from tests.support.simulators.host.platform import HOST


def test_a_feature_counts_as_there_until_the_host_denies_it() -> None:
    host = Host(msgspec.structs.replace(HOST, features={"swap_limit": False, "cpu_set": True}), lambda path: False)
    assert not host.has("swap_limit")
    assert host.has("cpu_set")
    assert host.has("anything")
