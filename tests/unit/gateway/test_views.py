from __future__ import annotations

import asyncio

import msgspec
import pytest

from gateway import views
from gateway.views import Container, Containers
from shared.contracts.common import DockerEvent, NameRecord
from shared.contracts.container import ContainerConfig, ContainerPlacement, ContainerSpec, ContainerStatus, HostConfig
from shared.contracts.executor import CLUSTER_NAMES, NAMES, PLACEMENTS, SPECS, STATUSES
from shared.errors import InvalidArgument, NotFound, Unavailable
from shared.state import MemoryState


def spec(id: str, name: str, created: int = 1) -> ContainerSpec:
    return ContainerSpec(id=id, name=name, created=created, config=ContainerConfig(), host_config=HostConfig())


async def add(state: MemoryState, id: str, name: str, created: int = 1) -> int:
    await state.create(NAMES, name, value=NameRecord(id=id))
    await state.create(PLACEMENTS, id, value=ContainerPlacement(node="n1"))
    await state.create(STATUSES, id, value=ContainerStatus())
    return await state.create(SPECS, id, value=spec(id, name, created))


A, B = "a" * 64, "ab" + "0" * 62


async def test_containers_are_found_by_id_name_and_prefix() -> None:
    state = MemoryState()
    await add(state, A, "one")
    containers = await Containers.open(state, "n1")
    await containers.reached(await add(state, B, "two"))
    for reference in (A, "one", "/one", "aa"):
        found = await containers.find(reference)
        assert (found.id, found.node) == (A, "n1")
    with pytest.raises(InvalidArgument, match="multiple IDs found with provided prefix: a"):
        await containers.find("a")
    for reference in ("", "/", "nope", "ff", "a b", "*", ">"):
        with pytest.raises(NotFound):
            await containers.find(reference)


async def test_a_name_goes_before_an_id_prefix() -> None:
    state = MemoryState()
    await add(state, A, "one")
    await add(state, B, "aa")
    containers = await Containers.open(state, "n1")
    assert (await containers.find("aa")).id == B


async def test_the_newest_comes_first() -> None:
    state = MemoryState()
    containers = await Containers.open(state, "n1")
    await add(state, A, "old", created=1)
    await containers.reached(await add(state, B, "new", created=2))
    assert [one.spec.name for one in containers.all()] == ["new", "old"]
    revision = await state.delete(SPECS, B)
    await containers.reached(revision)
    assert [one.spec.name for one in containers.all()] == ["old"]
    assert containers.get(B) is None


async def test_what_the_view_does_not_know_yet_is_asked_for() -> None:
    state = MemoryState()
    containers = await Containers.open(state, "n1")
    await add(state, A, "one")
    await add(state, B, "two")
    assert (await containers.find("one")).id == A
    assert (await containers.find(B)).spec.name == "two"


async def test_a_change_forgets_what_was_encoded() -> None:
    state = MemoryState()
    await add(state, A, "one")
    containers = await Containers.open(state, "n1")
    before = await containers.find(A)
    before.parts["x"] = b"old"
    entry = await state.get(STATUSES, A)
    assert entry is not None
    running = ContainerStatus(state="running")
    await containers.reached(await state.update(STATUSES, A, value=running, revision=entry.revision))
    after = await containers.find(A)
    assert (after.status, after.parts) == (running, {})


async def test_who_follows_sees_every_state_also_when_the_end_comes_at_once() -> None:
    state = MemoryState()
    await add(state, A, "one")
    containers = await Containers.open(state, "n1")
    container = await containers.find(A)

    async def follow() -> list[str]:
        states = [one.status.state if one is not None else "gone" async for one in containers.follow(container)]
        return [state for index, state in enumerate(states) if states[index - 1 : index] != [state]]

    following = asyncio.get_running_loop().create_task(follow())
    await asyncio.sleep(0)
    entry = await state.get(STATUSES, A)
    assert entry is not None
    revision, status = entry.revision, entry.value
    for name in ("running", "exited"):
        status = msgspec.structs.replace(status, state=name)
        revision = await state.update(STATUSES, A, value=status, revision=revision)
    await state.delete(STATUSES, A)
    await state.delete(PLACEMENTS, A)
    await state.delete(SPECS, A)
    assert await following == ["created", "running", "exited", "gone"]


async def test_who_follows_what_is_gone_is_told_at_once() -> None:
    containers = await Containers.open(MemoryState())
    gone = Container(spec(A, "x"), ContainerStatus(), "n1")
    assert [one async for one in containers.follow(gone)] == [None]


async def test_links_name_two_containers() -> None:
    state = MemoryState()
    await add(state, A, "db")
    await add(state, B, "web", created=2)
    containers = await Containers.open(state, "n1")
    entry = await state.get(SPECS, B)
    assert entry is not None
    linking = msgspec.structs.replace(entry.value, host_config=HostConfig(links=(f"{A}:store", f"{A}:again", "gone:x")))
    revision = await state.update(SPECS, B, value=linking, revision=entry.revision)
    await containers.reached(revision)
    web, db = await containers.find("web"), await containers.find("db")
    assert web.links == ("/db:/web/store", "/db:/web/again", "/gone:/web/x")
    assert db.aliases == ("/web/again", "/web/store")
    assert (await containers.find("web/store")).id == A
    entry = await state.get(SPECS, A)
    assert entry is not None
    renamed = msgspec.structs.replace(entry.value, name="base")
    await containers.reached(await state.update(SPECS, A, value=renamed, revision=entry.revision))
    assert (await containers.find(B)).links[0] == "/base:/web/store"
    await containers.reached(await state.delete(SPECS, B))
    found = containers.get(A)
    assert found is not None
    assert found.aliases == ()
    with pytest.raises(NotFound):
        await containers.find("web/store")


async def test_containers_of_other_hosts_come_and_go_with_them() -> None:
    state, other = MemoryState(), MemoryState()
    state.hosts["n2"] = other
    await add(state, A, "one")
    await add(other, B, "two")
    containers = await Containers.open(state, "n1")
    assert containers.known("two") is None
    await containers.add_host("n2", wait=1)
    assert (await containers.find("two")).node == "n2"
    assert [one.id for one in containers.of("n2")] == [B]
    assert [one.id for one in containers.of("n1")] == [A]
    entry = await other.get(SPECS, B)
    assert entry is not None
    renamed = msgspec.structs.replace(entry.value, name="second")
    await containers.reached(await other.update(SPECS, B, value=renamed, revision=entry.revision), "n2")
    assert containers.known("two") is None
    assert (await containers.find("second")).id == B
    followed = containers.follow(await containers.find(B))
    assert await anext(followed) is containers.get(B)
    containers.drop_host("n2")
    assert await anext(followed) is None
    assert containers.all() == containers.of("n1")
    await containers.reached(10**9, "n2")  # nobody is waited for who is not there


async def test_what_another_host_has_done_is_done_also_if_its_records_are_late(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "PATIENCE", 0.05)
    state = MemoryState()
    state.hosts["n2"] = MemoryState()
    containers = await Containers.open(state, "n1")
    await containers.add_host("n2", wait=1)
    await containers.reached(10**9, "n2")
    for node in ("", "n1"):
        with pytest.raises(Unavailable, match="the state store is behind"):
            await containers.reached(10**9, node)


async def test_of_two_with_one_name_this_hosts_own_is_meant() -> None:
    state, other = MemoryState(), MemoryState()
    state.hosts["n2"] = other
    await add(other, B, "one")
    containers = await Containers.open(state, "n1")
    await containers.add_host("n2", wait=1)
    assert (await containers.find("one")).id == B
    await add(state, A, "one")
    await containers.reached(4)
    assert (await containers.find("one")).id == A
    containers.drop_host("n2")
    assert (await containers.find("one")).id == A


async def test_a_container_that_moved_is_shown_where_it_is() -> None:
    state, other = MemoryState(), MemoryState()
    state.hosts["n2"] = other
    await add(state, A, "one")
    containers = await Containers.open(state, "n1")
    await containers.add_host("n2", wait=1)
    await containers.reached(await add(other, A, "one"), "n2")
    assert (await containers.find("one")).node == "n2"
    await containers.reached(await state.delete(SPECS, A))
    assert (await containers.find("one")).node == "n2"
    await containers.reached(await other.delete(SPECS, A), "n2")
    assert containers.all() == []


async def test_the_name_of_a_container_that_is_not_seen_yet_is_asked_of_the_cluster() -> None:
    state, other = MemoryState(), MemoryState()
    state.hosts["n2"] = other
    containers = await Containers.open(state, "n1")
    await containers.add_host("n2", wait=1)
    await state.create(CLUSTER_NAMES, "far", value=NameRecord(id=A, node="n2"))
    await add(other, A, "far")
    with pytest.raises(NotFound):  # this host is in no cluster, or is cut off from it
        await containers.find("far")
    containers.in_touch = lambda: True
    assert (await containers.find("far")).id == A


async def two_hosts() -> tuple[MemoryState, MemoryState, Containers]:
    state, other = MemoryState(), MemoryState()
    state.hosts["n2"] = other
    containers = await Containers.open(state, "n1")
    await containers.add_host("n2", wait=1)
    return state, other, containers


async def leave(state: MemoryState, id: str) -> None:
    """The container has moved to n2, says the host that had it."""
    entry = await state.get(STATUSES, id)
    assert entry is not None
    moved = msgspec.structs.replace(entry.value, moved_to="n2")
    await containers_see(state, await state.update(STATUSES, id, value=moved, revision=entry.revision))


async def containers_see(state: MemoryState, revision: int) -> None:
    view = await state.view(SPECS)
    await view.reached(revision)
    view.stop()
    await asyncio.sleep(0)


async def test_a_container_that_moves_is_never_gone() -> None:
    state, other, containers = await two_hosts()
    await containers.reached(await add(state, A, "one"), "n1")
    seen: list[str] = []

    async def follow() -> None:
        async for present in containers.follow(await containers.find(A)):
            seen.append("gone" if present is None else present.node)  # noqa: PERF401  # looked at meanwhile

    following = asyncio.ensure_future(follow())
    await asyncio.sleep(0)
    await leave(state, A)
    await containers.reached(await state.delete(SPECS, A), "n1")
    assert (await containers.find("one")).node == "n1"  # until the other host's record is seen
    await containers.reached(await add(other, A, "one"), "n2")
    assert (await containers.find("one")).node == "n2"
    await containers.reached(await state.delete(STATUSES, A), "n1")
    assert [one.node for one in containers.all()] == ["n2"]
    await containers.reached(await other.delete(SPECS, A), "n2")
    async with asyncio.timeout(10):
        await following
    assert seen[0] == "n1"
    assert seen[-2:] == ["n2", "gone"]
    assert "gone" not in seen[:-1]


async def test_what_the_host_before_still_says_counts_no_more() -> None:
    state, other, containers = await two_hosts()
    await containers.reached(await add(state, A, "one"), "n1")
    await containers.reached(await add(other, A, "one"), "n2")
    assert (await containers.find(A)).node == "n2"
    await leave(state, A)
    assert (await containers.find(A)).node == "n2"
    await containers.reached(await state.delete(SPECS, A), "n1")
    assert [one.node for one in containers.all()] == ["n2"]


async def test_one_that_never_arrives_is_shown_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "MOVE_PATIENCE", 0.01)
    state, _, containers = await two_hosts()
    await containers.reached(await add(state, A, "one"), "n1")
    await leave(state, A)
    await containers.reached(await state.delete(SPECS, A), "n1")
    assert containers.get(A) is not None
    async with asyncio.timeout(10):
        async for present in containers.follow(await containers.find(A)):
            if present is None:
                break
    assert containers.get(A) is None


async def test_what_was_started_elsewhere_hides_what_its_old_host_says() -> None:
    """Also when it is removed before that host is back."""
    state, other = MemoryState(), MemoryState()
    state.hosts["n2"] = other
    containers = await Containers.open(state, "n1")
    await other.create(SPECS, A, value=msgspec.structs.replace(spec(A, "one"), generation=1))
    view = await containers.add_host("n2", wait=1)
    revision = await state.create(SPECS, A, value=msgspec.structs.replace(spec(A, "one"), generation=2))
    await containers.reached(revision)
    told = await other.create(STATUSES, A, value=ContainerStatus(state="exited"))
    await view.reached(told)
    found = await containers.find(A)
    assert (found.node, found.spec.generation, found.status.state) == ("n1", 2, "created")
    await containers.reached(await state.delete(SPECS, A))
    assert containers.known("one") is None
    await view.reached(await other.delete(SPECS, A))
    again = await other.create(SPECS, A, value=msgspec.structs.replace(spec(A, "one"), generation=1))
    await view.reached(again)
    assert containers.known("one") is not None


async def test_of_a_host_that_was_never_heard_of_nobody_says_what_it_has_not() -> None:
    state, other = MemoryState(), MemoryState()
    state.hosts = {"n2": other}
    containers = await Containers.open(state, "n1")
    view = await containers.add_host("n2", 0)
    view.become_live(False)
    with pytest.raises(Unavailable):
        await containers.find("f" * 64)
    view.become_live(True)
    with pytest.raises(NotFound):
        await containers.find("f" * 64)


async def test_an_event_waits_until_what_it_tells_of_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    state = MemoryState()
    containers = await Containers.open(state, "n1")
    revision = await add(state, A, "one")
    event = DockerEvent(type="container", action="create", actor=A, node="n1", revision=revision)
    assert containers.known("one") is None
    await containers.shows(event)
    assert containers.known("one") is not None
    monkeypatch.setattr(views, "EVENT_PATIENCE", 0.01)
    await containers.shows(msgspec.structs.replace(event, revision=10**9))
    await containers.shows(msgspec.structs.replace(event, revision=10**9, node="unknown"))
