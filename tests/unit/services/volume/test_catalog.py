"""Records and folders through restarts."""

from __future__ import annotations

import pytest

from services.volume.domain.recovery import REMOVING
from shared.contracts.volume import SPECS
from shared.errors import Conflict, ShoalError
from tests.support.volume_world import VolumeWorld

TMPFS = {"type": "tmpfs", "device": "tmpfs"}


async def test_volumes_live_through_a_restart(world: VolumeWorld) -> None:
    async with world.running():
        made = [await world.create("v.1", labels={"a": "b"}), await world.create()]
        (world.data("v.1") / "file").write_text("kept")
    async with world.running():
        assert sorted(await world.names()) == sorted(spec.name for spec in made)
        assert await world.create("v.1") == made[0]
        assert (world.data("v.1") / "file").read_text() == "kept"


async def test_a_volume_whose_record_was_lost_is_taken_over_with_its_data(world: VolumeWorld) -> None:
    async with world.running():
        for name in ("full", "empty"):
            await world.create(name, labels={"a": "b"})
        (world.data("full") / "file").write_text("kept")
        node = world.bus.node
    for name in ("full", "empty"):
        await world.state.delete(SPECS, node, name)
    async with world.running():
        assert await world.names() == ["full"]
        assert (world.data("full") / "file").read_text() == "kept"
        entry = await world.state.get(SPECS, node, "full")
        assert entry is not None
        assert entry.value.mountpoint == str(world.data("full"))
        assert not world.data("empty").exists()


async def test_a_removal_that_was_begun_is_finished(world: VolumeWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(*_: object, **__: object) -> int:
        raise ShoalError("no store")

    async with world.running():
        await world.create("v1")
        (world.data("v1") / "file").touch()
        with monkeypatch.context() as patched:
            patched.setattr(world.state, "delete", refuse)
            with pytest.raises(ShoalError):
                await world.remove("v1")
    async with world.running():
        assert await world.names() == []
        assert not list((world.directory / "state" / "volumes").iterdir())


async def test_a_folder_that_is_gone_is_made_anew(world: VolumeWorld) -> None:
    async with world.running():
        await world.create("v1")
    world.data("v1").rmdir()
    world.data("v1").parent.rmdir()
    async with world.running():
        assert await world.names() == ["v1"]
        assert world.data("v1").is_dir()


async def test_what_was_only_set_aside_goes(world: VolumeWorld) -> None:
    (world.directory / "state" / "volumes" / f"{REMOVING}old" / "_data").mkdir(parents=True)
    async with world.running():
        assert not list((world.directory / "state" / "volumes").iterdir())


async def test_mounts_and_users_are_known_after_a_restart(world: VolumeWorld) -> None:
    async with world.running():
        await world.create("v1", options=TMPFS)
        await world.create("v2", options=TMPFS)
        await world.mount("v1")
        (world.data("v1") / "file").touch()
    async with world.running():
        with pytest.raises(Conflict, match="volume is in use"):
            await world.remove("v1")
        assert not (await world.mount("v1")).empty
        await world.unmount()
        assert world.mounted() == []


async def test_a_volume_whose_folder_cannot_be_made_is_none(world: VolumeWorld) -> None:
    async with world.running():
        (world.directory / "state" / "volumes" / "v1").write_text("in the way")
        with pytest.raises(ShoalError):
            await world.create("v1")
        assert await world.names() == []
        assert await world.state.get(SPECS, world.bus.node, "v1") is None
