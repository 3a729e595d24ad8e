"""Network namespaces."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from services.network.adapters import namespaces
from tests.support.namespaces import links_of_the_kernel

pytestmark = pytest.mark.usefixtures("host_network")


def inode_of_mine() -> int:
    return os.stat("/proc/thread-self/ns/net").st_ino


def test_a_new_namespace_has_loopback_up_and_no_ipv6_beyond_it() -> None:
    before = inode_of_mine()
    namespace = namespaces.create()
    assert os.fstat(namespace.descriptor).st_ino != before
    assert inode_of_mine() == before
    link = namespace.netlink.link("lo")
    assert link is not None
    assert link.up
    assert tuple(each.name for each in namespace.netlink.links()) == links_of_the_kernel()
    namespace.close()


def test_a_pinned_namespace_lives_on_and_can_be_entered(tmp_path: Path) -> None:
    path = tmp_path / "ns"
    namespace = namespaces.create()
    inode = os.fstat(namespace.descriptor).st_ino
    namespace.pin(path)
    namespace.close()
    assert namespaces.is_pinned(path)
    entered = namespaces.enter(path)
    assert os.fstat(entered.descriptor).st_ino == inode
    entered.close()
    namespaces.unpin(path)
    assert not path.exists()
    assert not namespaces.is_pinned(path)


def test_unpinning_what_is_only_a_file_or_nothing(tmp_path: Path) -> None:
    path = tmp_path / "ns"
    path.touch()
    assert not namespaces.is_pinned(path)
    namespaces.unpin(path)
    namespaces.unpin(path)
    assert not path.exists()


def test_a_file_is_never_pinned_over(tmp_path: Path) -> None:
    path = tmp_path / "ns"
    path.write_text("somebody's")
    namespace = namespaces.create()
    with pytest.raises(FileExistsError):
        namespace.pin(path)
    namespace.close()
    assert path.read_text() == "somebody's"


def test_what_is_no_namespace_cannot_be_entered(tmp_path: Path) -> None:
    (tmp_path / "ns").touch()
    with pytest.raises(OSError, match="cannot enter a network namespace"):
        namespaces.enter(tmp_path / "ns")
    with pytest.raises(FileNotFoundError):
        namespaces.enter(tmp_path / "nothing")
