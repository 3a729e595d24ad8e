from __future__ import annotations

import pytest

from services.builder.adapters.spool import Spools
from services.builder.adapters.store import Store
from services.builder.domain.tree import FILE, Node, Source, Tree
from shared.contracts import image_store
from shared.contracts.container import ContainerConfig
from shared.contracts.image_store import ApplyRequest, CommitRequest
from shared.errors import Conflict, InvalidArgument, NotFound
from tests.support.builder_world import World


async def test_images_are_made_and_found_again(world: World, spools: Spools) -> None:
    store = Store(world.kernel, "b")
    base = await store.resolve("busybox")
    described = await store.describe(
        CommitRequest(parent=base.id, config=ContainerConfig(user="u"), created_by="USER u")
    )
    assert (described.parent, described.config.user, described.diff_ids) == (base.id, "u", base.diff_ids)
    found = await store.child(base.id, "USER u", ())
    assert found.image is not None
    assert found.image.id == described.id
    assert (await store.child(base.id, "USER v", ())).image is None

    made = Tree()
    number = spools.new()
    spools.append(number, b"abc")
    made.put("d/f", Node(FILE, 0o600, source=Source(number, 0, 3, b"")))
    layered = await store.add_layer(ApplyRequest(parent=described.id, created_by="COPY"), made, spools)
    assert (layered.parent, len(layered.diff_ids)) == (described.id, 2)
    assert (await store.read(layered.id, "d/f", "none")) == (b"abc", b"")
    assert await store.matches(layered.id, "*/f") == ("d/f",)
    place = await store.place(layered.id, "/link/x")
    assert (place.path, place.kind, [path for path, _ in place.above]) == ("usr/x", "", ["", "usr"])


async def test_steps_of_the_last_build_are_not_asked_for_one_by_one(world: World) -> None:
    first = Store(world.kernel, "a")
    base = parent = await first.resolve("busybox")
    made = []
    for number in range(3):
        parent = await first.describe(CommitRequest(parent=parent.id, created_by=f"ENV {number}"))
        made.append(parent.id)
    await first.tag(made[1], "kept", "1")
    await first.end()
    store = Store(world.kernel, "b")
    found = [(await store.child(base.id, "ENV 0", ())).image]
    await world.user.bus.call(image_store.REMOVE, image_store.RemoveRequest(reference=made[2]))
    found += [(await store.child(each, f"ENV {number}", ())).image for number, each in enumerate(made[:2], start=1)]
    assert [image.id for image in found if image] == made, "the store was asked again"
    await store.hold(made[1])
    with pytest.raises(Conflict):
        await world.user.bus.call(image_store.REMOVE, image_store.RemoveRequest(reference=made[1], force=True))
    with pytest.raises(NotFound, match="No such image"):
        await store.hold(made[2])
    with pytest.raises(NotFound, match="No such image"):
        await store.child(made[2], "ENV 3", ())


async def test_names(world: World) -> None:
    store = Store(world.kernel, "b")
    assert await store.names(["a", "docker.io/library/a:1"]) == (("a", "latest"), ("a", "1"))
    with pytest.raises(InvalidArgument, match="must be lowercase"):
        await store.names(["A"])
    await store.tag((await store.resolve("busybox")).id, "a", "1")
    assert (await store.resolve("a:1")).repo_tags


async def test_contents_that_are_not_there(world: World, spools: Spools) -> None:
    store = Store(world.kernel, "b")
    base = await store.resolve("busybox")
    with pytest.raises(NotFound):
        await store.contents(base.id, "none", spools)
    assert spools.size(await store.contents(base.id, "etc", spools)) > 1024
