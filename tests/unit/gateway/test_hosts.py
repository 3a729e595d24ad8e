from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from gateway.hosts import Hosts
from gateway.views import Containers
from shared.contracts.base import Keys
from shared.contracts.scheduler import NODES, NodeRecord
from shared.errors import NotFound, Unavailable
from shared.state import MemoryState
from shared.state.view import View
from tests.support.waiting import until
from tests.unit.gateway.test_views import A, B, add


def record(node: str) -> NodeRecord:
    return NodeRecord(id=node, name=f"{node}-name", role="leaf", address="192.0.2.1:7377", joined=1)


async def test_hosts_are_followed_as_they_join_and_leave() -> None:
    state = MemoryState()
    state.hosts = {"n2": MemoryState(), "n3": MemoryState()}
    await add(state.hosts["n2"], A, "two")
    await add(state.hosts["n3"], B, "three")
    await state.create(NODES, "n1", value=record("n1"))
    await state.create(NODES, "n2", value=record("n2"))
    containers = await Containers.open(state, "n1")
    hosts = Hosts(state, "n1", containers)
    assert (hosts.all(), hosts.in_touch(), hosts.record("n1")) == ([], False, None)
    await hosts.open()
    try:
        assert [one.spec.name for one in containers.all()] == ["two"]
        assert [one.name for one in hosts.all()] == ["n1-name", "n2-name"]
        assert containers.in_touch()
        await state.create(NODES, "n3", value=record("n3"))
        await until(lambda: containers.get(B) is not None, 60)
        assert hosts.reachable() == ("n1", "n2", "n3")
        await state.delete(NODES, "n2")
        await until(lambda: containers.get(A) is None, 60)
        assert hosts.record("n2") is None
        assert hosts.reachable() == ("n1", "n3")
    finally:
        await hosts.close()


async def test_a_host_that_is_not_heard_of_is_down() -> None:
    state = MemoryState()
    state.hosts = {"n2": MemoryState()}
    await state.create(NODES, "n2", value=record("n2"))
    hosts = Hosts(state, "n1", await Containers.open(state, "n1"))
    await hosts.open()
    try:
        assert hosts.down() == frozenset()
        hosts._views["n2"].become_live(False)
        assert (hosts.down(), hosts.reachable()) == (frozenset({"n2"}), ("n1",))
        assert hosts.present() == ("n1", "n2")  # nothing was heard of it until now
        hosts._views["n2"].advance(1)
        assert hosts.present() == ("n1",)
        assert (hosts.split("n2-name/v"), hosts.split("n3/v")) == (("n2", "v"), ("", "n3/v"))
        assert hosts.called("n2-name") == "n2"
    finally:
        await hosts.close()


class Slow(MemoryState):
    """Hosts answer when they are let go; counts who asks for their records."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.let_go = asyncio.Event()

    async def view(self, *keys: Keys[Any], host: str = "", wait: float | None = None) -> View:
        if host:
            self.asked.append(host)
            await self.let_go.wait()
        return await super().view(*keys, host=host, wait=wait)


class CutOff(MemoryState):
    """The hubs do not tell anything yet."""

    async def view(self, *keys: Keys[Any], host: str = "", wait: float | None = None) -> View:
        view = await super().view(*keys, host=host, wait=wait)
        if keys == (NODES,):
            self.nodes = view
            view.become_live(False)
        return view


async def test_what_is_not_known_may_be_on_a_host_that_is_not_known() -> None:
    """As for a gateway that begins while its host is cut off, or a host that has just joined."""
    state = CutOff()
    containers = await Containers.open(state, "n1")
    hosts = Hosts(state, "n1", containers)
    await hosts.open()
    try:
        for reference in (A, "web"):
            with pytest.raises(Unavailable, match=f"{reference} may be there"):
                await containers.find(reference)
        state.nodes.become_live(True)
        state.nodes.become_live(False)  # what was seen is known
        with pytest.raises(NotFound):
            await containers.find(A)
        hosts._coming.add("n2")
        with pytest.raises(Unavailable):
            await containers.find(A)
    finally:
        await hosts.close()


async def test_a_host_that_changes_while_it_is_waited_for_is_followed_once() -> None:
    state = Slow()
    state.hosts = {"n2": MemoryState()}
    hosts = Hosts(state, "n1", await Containers.open(state, "n1"))
    await hosts.open()
    try:
        revision = await state.create(NODES, "n2", value=record("n2"))
        await until(lambda: bool(state.asked), 60)
        await state.update(NODES, "n2", value=msgspec.structs.replace(record("n2"), role="hub"), revision=revision)
        await until(lambda: getattr(hosts.record("n2"), "role", "") == "hub", 60)
        state.let_go.set()
        await until(lambda: "n2" in hosts.reachable(), 60)
        assert state.asked == ["n2"]
    finally:
        await hosts.close()
