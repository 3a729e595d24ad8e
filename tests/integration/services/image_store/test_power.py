"""Power cuts at every step: what was acknowledged is there, all else is whole or absent, and the store is sound.

The whole store with its helpers works on a real disk; of each step `tests.support.power` makes the disks that a cut
may leave. On each of them a store is opened, checked by what `shoal fsck` checks, and used.
"""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from services.image_store.adapters import disk, layers_local, snapshot_overlay
from services.image_store.operations.fsck import Check
from services.image_store.operations.usage import tree_size
from shared.contracts import image_store as contract
from shared.contracts.common import Ref
from shared.contracts.image_store import ApplyRequest, CommitRequest, ListRequest, PruneRequest, RemoveRequest
from shared.errors import NotFound
from tests.support.fake_registry import FakeRegistry, cut
from tests.support.image_store import Store, World, lines, small
from tests.support.power import DISKS, Disk, Moment, Recorder, make
from tools import images
from tools.images import docker_archive

MANY = 30
"""Fewer disks than these would mean that the recorder missed the work."""
PASSING = ("spares", "trash", "ingest")


@pytest.fixture
async def registry() -> AsyncIterator[FakeRegistry]:
    async with FakeRegistry().served() as made:
        yield made


@dataclass
class Promised:
    """What a client was told: names and what they are of; None: it is gone. Names that are not in it may be either."""

    names: dict[str, str | None] = field(default_factory=dict)

    def __call__(self, name: str, image_id: str | None) -> None:
        self.names[name] = image_id

    def opens(self, *names: str) -> None:
        """An operation on these begins: until it has ended, nothing is certain of them."""
        for name in names:
            self.names.pop(name, None)


@dataclass
class Lab:
    """A store under record."""

    world: World
    recorder: Recorder
    promised: Promised
    patch: pytest.MonkeyPatch
    tmp: Path

    async def record(self, work: Callable[[Store], Awaitable[None]]) -> list[Moment]:
        """All moments of a store's life in which `work` was done."""
        with pytest.MonkeyPatch.context() as patch:
            self.recorder.install(patch)
            patch.setattr(disk, "sync_filesystem", self._sync_all)
            async with self.world.store() as store:
                await work(store)
                await store.service._layers.settle()
        self.recorder.close()
        return self.recorder.moments

    def _sync_all(self, path: Path) -> None:
        self.recorder.moment()
        self.recorder.all_synced()

    async def check(self, moments: list[Moment]) -> int:
        """How many disks there were, each different from the others."""
        (self.tmp / "boot").write_text("after the power cut")
        self.patch.setattr(layers_local, "_BOOT_ID", self.tmp / "boot")
        seen = set()
        for number, moment in enumerate(moments):
            for kind in DISKS:
                tree = moment.disk(kind)
                key = repr(
                    (sorted(tree.items()), sorted(moment.said[0].items()), sorted(moment.said[1]), kind != "kept")
                )
                if key not in seen:
                    seen.add(key)
                    await self._survives(moment, kind, f"{number} {kind}", self.tmp / "after" / str(len(seen)))
        return len(seen)

    async def _survives(self, moment: Moment, kind: Disk, what: str, place: Path) -> None:
        names, records = moment.said
        world = World(place)
        root = world.settings.state_path / "image_store"
        make(moment.disk(kind), self.recorder.pool, root, kind)
        world.state._records = dict(records)
        async with world.store() as store:
            for name, image_id in names.items():
                assert await found(store, name) == image_id, f"{what}: {name}"
            for each in (await store.call(contract.LIST, ListRequest(all=True))).images:
                await store.prepare("probe", each.id)
                await store.call(contract.RELEASE, Ref(id="probe"))
            for layer in store.service._layers.all():
                assert tree_size(f"{store.service._layers.directory(layer)}/diff") == layer.size, what
        assert Check(root).run().findings == [], what
        shutil.rmtree(place, ignore_errors=True)  # a thread of the store may still be putting something there in order


async def found(store: Store, name: str) -> str | None:
    try:
        return (await store.resolve(name)).id
    except NotFound:
        return None


@pytest.fixture
async def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    monkeypatch.setattr(snapshot_overlay, "SPARES", 1)
    world, promised = World(tmp_path / "before"), Promised()
    root = world.settings.state_path / "image_store"

    def note() -> tuple[dict[str, str | None], dict[Any, Any]]:
        return dict(promised.names), dict(world.state._records)

    return Lab(world, Recorder(root, tmp_path / "pool", PASSING, note), promised, monkeypatch, tmp_path)


def image(name: str) -> images.Image:
    return small(name, content=name.encode() * 100, below=b"common")


async def load(lab: Lab, store: Store, name: str, form: images.Compression = "none") -> None:
    lab.promised.opens(name)
    await store.load(docker_archive(image(name), form))
    lab.promised(name, image(name).id)


async def test_load(lab: Lab) -> None:
    async def work(store: Store) -> None:
        await load(lab, store, "a:1")
        await load(lab, store, "b:1", "gzip")

    lab.promised("b:1", None)
    assert await lab.check(await lab.record(work)) > MANY


async def test_remove_and_collect(lab: Lab) -> None:
    """Layers that another image needs stay, those of the removed one go; a name moves to another image."""
    async with lab.world.store() as store:
        for name in ("a:1", "b:1"):
            await load(lab, store, name)
        await store.call(contract.TAG, contract.TagRequest(source="b:1", repository="c", tag="1"))
        await store.service._layers.settle()
    lab.recorder.all_synced()

    async def work(store: Store) -> None:
        lab.promised.opens("a:1")
        await store.call(contract.REMOVE, RemoveRequest(reference="a:1"))
        lab.promised("a:1", None)
        lab.promised(image("a:1").id, None)
        await store.prepare("c1", "b:1")
        lab.promised.opens("b:1", "c:1")
        await store.call(contract.REMOVE, RemoveRequest(reference="b:1", force=True))
        lab.promised("b:1", None)
        lab.promised("c:1", image("b:1").id)
        lab.promised.opens("c:1")
        await store.call(contract.PRUNE, PruneRequest(filters={"dangling": ("false",)}))
        lab.promised("c:1", None)
        await store.call(contract.RELEASE, Ref(id="c1"))

    assert await lab.check(await lab.record(work)) > MANY


async def test_pull(lab: Lab, registry: FakeRegistry) -> None:
    name = f"{registry.name}/a:1"
    registry.add("a", "1", image("a:1"))

    async def work(store: Store) -> None:
        lab.promised.opens(name)
        await store.pull(name)
        lab.promised(name, image("a:1").id)

    lab.promised(name, None)
    assert await lab.check(await lab.record(work)) > MANY


async def test_a_pull_that_was_broken_off_and_goes_on(lab: Lab, registry: FakeRegistry) -> None:
    name = f"{registry.name}/a:1"
    registry.add("a", "1", image("a:1"))
    last = f"/v2/a/blobs/{images.digest(images.compress(image('a:1').layers[1], 'gzip'))}"
    registry.override["GET", last] = cut(registry.blobs[last.rpartition("/")[2]], 100)

    async def work(store: Store) -> None:
        assert "error" in (await store.pull(name))[-1]
        del registry.override["GET", last]
        lab.promised.opens(name)
        await store.pull(name)
        lab.promised(name, image("a:1").id)

    lab.promised(name, None)
    assert await lab.check(await lab.record(work)) > MANY


async def test_build(lab: Lab) -> None:
    """Layers of containers, with and without a copy, and of archives; steps that only configure."""
    async with lab.world.store() as store:
        await load(lab, store, "a:1")
        await store.service._layers.settle()
    lab.recorder.all_synced()

    async def work(store: Store) -> None:
        for number, release in enumerate((True, False)):
            snapshot = await store.prepare(f"c{number}", "a:1")
            Path(snapshot.upper, "made").write_text(f"by step {number}")
            lab.promised.opens(name := f"made{number}:1")
            asked = CommitRequest(key=f"c{number}", release=release, repository=f"made{number}", tag="1")
            lab.promised(name, (await store.call(contract.COMMIT, asked)).image.id)
        lab.promised.opens("applied:1")
        offer = await store.call(contract.APPLY, ApplyRequest(parent="made0:1", repository="applied", tag="1"))
        answer = lines(await store.transfer(offer, images.tar([images.entry("more", b"more")])))
        lab.promised("applied:1", answer[-1]["status"])
        lab.promised.opens("configured:1")
        asked = CommitRequest(parent="applied:1", changes=("ENV A=b",), repository="configured", tag="1")
        lab.promised("configured:1", (await store.call(contract.COMMIT, asked)).image.id)

    assert await lab.check(await lab.record(work)) > MANY
