from __future__ import annotations

import pytest

from services.image_store.adapters import changes_overlay
from shared.contracts import image_store as contract
from shared.contracts.common import Ref
from shared.errors import Conflict, NotFound
from tests.support.image_store import Store, lines, small
from tools.images import docker_archive


async def test_lines_of_changes(store: Store) -> None:
    await store.load(docker_archive(small("base:1")))
    await store.prepare("c1", "base:1")
    upper = store.root / "snapshots/c1/upper"
    (upper / "etc").mkdir()
    (upper / "etc/hosts").write_text("mine")
    (upper / b"\xff".decode("utf-8", "surrogateescape")).touch()
    answer = await store.transfer(await store.call(contract.CHANGES, Ref(id="c1")))
    assert lines(answer) == [
        {"path": "/etc", "kind": 0},
        {"path": "/etc/hosts", "kind": 0},
        {"path": "/\ufffd", "kind": 1},
    ]
    with pytest.raises(NotFound):
        await store.call(contract.CHANGES, Ref(id="nope"))


async def test_a_snapshot_removed_meanwhile(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    await store.load(docker_archive(small("base:1")))
    await store.prepare("c1", "base:1")

    def slow(*arguments: object) -> tuple[contract.Change, ...]:
        store.service._snapshots.release("c1")
        return ()

    monkeypatch.setattr(changes_overlay, "changes", slow)
    with pytest.raises(Conflict):
        await store.call(contract.CHANGES, Ref(id="c1"))
