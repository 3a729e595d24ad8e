"""libnftables in process."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator

import pytest

from services.network.adapters.nftables import Nftables
from shared.errors import Internal

pytestmark = pytest.mark.usefixtures("host_network")


@pytest.fixture
def nftables(host_network: None) -> Iterator[Nftables]:
    made = Nftables()
    yield made
    made._freeing.shutdown()  # the next test may count descriptors


def test_commands_are_carried_out_and_answered(nftables: Nftables) -> None:
    nftables.run("add table inet t; add set inet t s { type inet_service; }")
    nftables.run("add element inet t s { 80 }")
    assert "elements = { 80 }" in nftables.run("list set inet t s")
    assert nftables.run("") == ""


def test_a_failure_changes_nothing_and_tells_why(nftables: Nftables) -> None:
    with pytest.raises(Internal, match="No such file or directory"):
        nftables.run("add table inet t; delete table inet other")
    assert nftables.run("list tables") == ""


def test_nobody_waits_until_the_kernel_has_destroyed_what_was_deleted(nftables: Nftables) -> None:
    before = len(os.listdir("/proc/self/fd"))
    goes_on = threading.Event()
    nftables._freeing.submit(goes_on.wait)
    for _ in range(3):
        nftables.run("add table inet t")
        nftables.run("delete table inet t")
    assert len(os.listdir("/proc/self/fd")) > before
    goes_on.set()
    nftables._freeing.shutdown()
    assert len(os.listdir("/proc/self/fd")) == before


def test_each_thread_speaks_of_its_own_namespace(nftables: Nftables) -> None:
    assert nftables.run("list tables") == ""
