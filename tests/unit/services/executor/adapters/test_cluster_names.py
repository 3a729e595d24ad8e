from __future__ import annotations

import asyncio
from typing import Any

import pytest

from services.executor.adapters import patience
from services.executor.adapters.cluster_names import ClusterNames
from shared.contracts.base import AGREED, Keys
from shared.contracts.common import NameRecord
from shared.contracts.executor import CLUSTER_NAMES
from shared.errors import AlreadyExists, DeadlineExceeded, Unavailable
from shared.state import MemoryState
from shared.tasks import TaskGroup
from tests.support.waiting import until


class Cluster(MemoryState):
    """The agreed records, which may be cut off."""

    cut = mute = False

    def _check(self, keys: Keys[Any]) -> None:
        if self.cut and keys.bucket == AGREED:
            raise Unavailable("cut off")

    async def get(self, keys: Any, *parts: str, host: str = "") -> Any:
        self._check(keys)
        return await super().get(keys, *parts, host=host)

    async def update(self, keys: Any, *parts: str, value: Any, revision: int) -> int:
        self._check(keys)
        return await super().update(keys, *parts, value=value, revision=revision)

    async def create(self, keys: Any, *parts: str, value: Any) -> int:
        self._check(keys)
        revision = await super().create(keys, *parts, value=value)
        if self.mute:
            raise DeadlineExceeded("no answer")
        return revision


async def holders(state: MemoryState) -> dict[str, str]:
    view = await state.view(CLUSTER_NAMES)
    view.stop()
    return {parts[0]: entry.value.id for parts, entry in view.items(CLUSTER_NAMES)}


def made(state: MemoryState, node: str = "n1") -> ClusterNames:
    return ClusterNames(state, node, TaskGroup("test"))


async def test_a_name_is_one_containers_in_the_whole_cluster() -> None:
    state = Cluster()
    one, two = made(state), made(state, "n2")
    await one.take("web", "a")
    with pytest.raises(AlreadyExists):
        await two.take("web", "b")
    await one.take("web", "a")  # again: it is its own
    await two.release("web", "a")  # not its to give
    assert await two.holder("web") == "a"
    await one.release("web", "a")
    await two.take("web", "b")
    assert await holders(state) == {"web": "b"}


async def test_cut_off_no_name_is_taken_and_what_is_given_up_is_told_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "_FIRST_PAUSE", 0.01)
    state = Cluster()
    names = made(state)
    await names.take("web", "a")
    state.cut = True
    with pytest.raises(Unavailable, match="whether the name db is free"):
        await names.take("db", "b")
    assert await names.holder("web") == ""
    await names.release("web", "a")
    state.cut = False
    await until(lambda: ("shoal_cluster", "cluster_names.container.web") not in state._records, 60)


async def test_reconciling_gives_up_what_a_crash_left_and_takes_what_was_brought() -> None:
    state = Cluster()
    for name, container, node in (("left", "x", "n1"), ("kept", "k", "n1"), ("theirs", "t", "n2"), ("both", "b", "n2")):
        await state.create(CLUSTER_NAMES, name, value=NameRecord(id=container, node=node))
    names = made(state)
    await names.take("making", "m")  # its container is not known yet
    await names.reconcile(lambda: {"kept": "k", "brought": "c", "both": "mine"})
    expected = {"kept": "k", "theirs": "t", "both": "b", "making": "m", "brought": "c"}
    assert await holders(state) == expected


async def test_what_the_hubs_gave_without_an_answer_is_given_back() -> None:
    state = Cluster()
    one, two = made(state), made(state, "n2")
    state.mute = True
    for name, container in (("web", "a"), ("db", "b")):
        with pytest.raises(Unavailable):
            await one.take(name, container)
    state.mute = False
    await until(lambda: not one._doubtful, 60)
    assert await holders(state) == {}
    await two.take("web", "c")
    state.mute = True
    with pytest.raises(Unavailable):
        await one.take("cache", "d")
    state.mute = False
    await one.take("cache", "d")  # again, and now it hears of it
    await until(lambda: not one._doubtful, 60)
    assert await holders(state) == {"web": "c", "cache": "d"}


async def test_a_host_that_was_removed_holds_no_names() -> None:
    state = Cluster()
    for name, node in (("web", "n1"), ("db", "n2"), ("cache", "n2")):
        await state.create(CLUSTER_NAMES, name, value=NameRecord(id=name, node=node))
    await made(state).forget_host("n2")
    assert await holders(state) == {"web": "web"}


async def test_a_name_that_was_given_up_unheard_stays_with_the_next_container(monkeypatch: pytest.MonkeyPatch) -> None:
    """The hubs have done it and did not answer: when that is made good, another container of this host may have it."""
    monkeypatch.setattr(patience, "_FIRST_PAUSE", 0.05)
    state = Cluster()
    names = made(state)
    await names.take("web", "a")
    delete, asked = state.delete, asyncio.Event()

    async def unheard(*what: Any, **how: Any) -> int:
        monkeypatch.undo()
        await delete(*what, **how)
        raise DeadlineExceeded("no answer")

    async def ask(*what: Any, **how: Any) -> Any:
        found = await get(*what, **how)
        asked.set()
        return found

    get = state.get
    monkeypatch.setattr(state, "delete", unheard)
    await names.release("web", "a")
    await names.take("web", "b")
    state.get = ask  # type: ignore[method-assign]
    await asyncio.wait_for(asked.wait(), 60)
    await asyncio.sleep(0)
    assert await holders(state) == {"web": "b"}
    assert names._taken == {("web", "b")}


async def test_who_is_refused_a_name_does_not_take_it_from_who_has_it() -> None:
    state = Cluster()
    names = made(state)
    await names.take("web", "a")
    with pytest.raises(AlreadyExists):
        await names.take("web", "b")
    await names.reconcile(dict)  # the container is just being made, and known to nobody yet
    assert await holders(state) == {"web": "a"}


async def test_a_container_that_is_removed_while_its_name_is_brought_leaves_none() -> None:
    state = Cluster()
    told = iter(({"web": "a"}, {}))
    await made(state).reconcile(lambda: next(told))
    assert await holders(state) == {}
