"""What every volume service does."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from gateway.mirrors import Sources
from shared.bus import Bus
from shared.contracts import volume
from shared.contracts.base import Empty
from shared.contracts.common import DockerEvent
from shared.contracts.volume import SPECS, CreateRequest, ListRequest, MountRequest, NameRequest, RemoveRequest
from shared.errors import Conflict, InvalidArgument, NotFound
from shared.ids import new_token
from shared.state import State


def unique() -> str:
    return f"t{new_token()[:16]}"


async def create(bus: Bus, name: str, **fields: object) -> volume.VolumeSpec:
    return await bus.call(volume.CREATE, CreateRequest(**{"name": name, **fields}))  # type: ignore[arg-type]


async def remove(bus: Bus, name: str) -> None:
    await bus.call(volume.REMOVE, RemoveRequest(name=name))


async def test_a_volume_is_made_once_and_removed(bus: Bus) -> None:
    name = unique()
    made = await create(bus, name, labels={"a": "b"})
    assert (made.name, made.driver, made.labels) == (name, "local", {"a": "b"})
    assert await create(bus, name) == made
    assert await bus.call(volume.INSPECT, NameRequest(name=name)) == made
    assert name in {spec.name for spec in (await bus.call(volume.LIST, ListRequest())).volumes}
    await remove(bus, name)
    with pytest.raises(NotFound, match=f"get {name}: no such volume"):
        await bus.call(volume.INSPECT, NameRequest(name=name))


@pytest.mark.parties("real")
async def test_changes_are_told_before_their_answers(bus: Bus) -> None:
    seen = (await Sources.open(bus)).volumes
    await seen.known()
    name = unique()
    for work in (create(bus, name), remove(bus, name)):
        before = seen.count
        await work
        assert seen.count > before
        present = {each.name: each for each in (await bus.call(volume.LIST, ListRequest())).volumes}
        assert await seen.known() == present


async def test_an_anonymous_volume_gets_a_name(bus: Bus) -> None:
    made = await create(bus, "")
    assert len(made.name) == 64
    assert made.anonymous
    await remove(bus, made.name)


async def test_names_and_drivers_are_checked(bus: Bus) -> None:
    with pytest.raises(InvalidArgument, match="includes invalid characters for a local volume name"):
        await create(bus, "a b")
    with pytest.raises(NotFound, match='plugin "foo" not found'):
        await create(bus, unique(), driver="foo")


async def test_a_volume_in_use_stays(bus: Bus) -> None:
    name, user = unique(), new_token()
    await create(bus, name)
    await bus.call(volume.MOUNT, MountRequest(name=name, user=user))
    with pytest.raises(Conflict, match="volume is in use"):
        await remove(bus, name)
    for _ in range(2):
        await bus.call(volume.UNMOUNT, volume.UnmountRequest(user=user))
    with pytest.raises(Conflict, match=f"remove {name}: volume is in use - .*c1"):
        await bus.call(volume.REMOVE, RemoveRequest(name=name, users=("c1",)))
    await remove(bus, name)


async def test_what_is_not_there_cannot_be_used(bus: Bus) -> None:
    with pytest.raises(NotFound, match="no such volume"):
        await bus.call(volume.MOUNT, MountRequest(name=unique(), user=new_token()))
    with pytest.raises(NotFound, match="no such volume"):
        await remove(bus, unique())


@pytest.mark.parties("real")
async def test_the_record_says_what_exists(bus: Bus, state: State) -> None:
    name = unique()
    made = await create(bus, name)
    entry = await state.get(SPECS, bus.node, name)
    assert entry is not None
    assert entry.value == made
    await remove(bus, name)
    assert await state.get(SPECS, bus.node, name) is None


@pytest.mark.parties("real")
async def test_a_mounted_volume_is_a_directory(bus: Bus) -> None:
    name, user = unique(), new_token()
    made = await create(bus, name)
    reply = await bus.call(volume.MOUNT, MountRequest(name=name, user=user))
    assert reply == volume.MountReply(path=made.mountpoint, empty=True)
    (Path(reply.path) / "file").write_bytes(b"x" * 10)
    assert not (await bus.call(volume.MOUNT, MountRequest(name=name, user=user))).empty
    assert (await bus.call(volume.USAGE, Empty())).sizes[name] == 10
    await bus.call(volume.UNMOUNT, volume.UnmountRequest(user=user, name=name))
    await remove(bus, name)
    assert not Path(reply.path).exists()


@pytest.mark.parties("real")
async def test_prune_removes_unused_anonymous_volumes(bus: Bus) -> None:
    named, label = unique(), unique()
    kept = (await create(bus, "", labels={label: ""})).name
    gone = (await create(bus, "", labels={label: ""})).name
    await create(bus, named, labels={label: ""})
    wanted = volume.PruneRequest(filters={"label": (label,)}, in_use=(kept,))
    assert (await bus.call(volume.PRUNE, wanted)).removed == (gone,)
    wanted = volume.PruneRequest(filters={"label": (label,), "all": ("true",)})
    assert set((await bus.call(volume.PRUNE, wanted)).removed) == {kept, named}


@pytest.mark.parties("real")
async def test_events_are_told(bus: Bus) -> None:
    told: asyncio.Queue[DockerEvent] = asyncio.Queue()
    await bus.listen(volume.VOLUME_EVENT, told.put)
    await bus.transport.flush()
    name = unique()
    await create(bus, name)
    await remove(bus, name)
    async with asyncio.timeout(60):
        events = [await told.get(), await told.get()]
    assert [(event.action, event.actor, event.attributes) for event in events] == [
        ("create", name, {"driver": "local"}),
        ("destroy", name, {"driver": "local"}),
    ]
