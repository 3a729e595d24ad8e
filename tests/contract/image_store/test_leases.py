"""What work of several steps holds on to."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from shared.bus import Bus
from shared.contracts import image_store
from shared.contracts.common import Ref
from shared.contracts.image_store import ChildRequest, CommitRequest, PruneRequest, RemoveRequest, ResolveRequest
from shared.errors import Conflict, NotFound
from tools import images
from tools.images import docker_archive

Load = Callable[..., Awaitable[list[dict[str, Any]]]]


async def prune(bus: Bus, name: str) -> tuple[str, ...]:
    """All images of this test that are not held."""
    filters: dict[str, tuple[str, ...]] = {"dangling": ("false",), "label": (f"test={name}",)}
    return (await bus.call(image_store.PRUNE, PruneRequest(filters=filters))).removed


async def resolve(bus: Bus, reference: str, lease: str = "") -> str:
    return (await bus.call(image_store.RESOLVE, ResolveRequest(reference=reference, lease=lease))).id


@pytest.mark.parties("real")
async def test_what_is_leased_stays(bus: Bus, load: Load, made: images.Image, name: str) -> None:
    await load(docker_archive(made))
    assert await resolve(bus, f"{name}:1", lease=name) == made.id
    assert made.id not in await prune(bus, name)
    for _ in range(2):
        with pytest.raises(Conflict):
            await bus.call(image_store.REMOVE, RemoveRequest(reference=made.id, force=True))
    assert await resolve(bus, made.id) == made.id
    for _ in range(2):
        await bus.call(image_store.END_LEASE, Ref(id=name))
    await prune(bus, name)
    with pytest.raises(NotFound):
        await resolve(bus, made.id)


@pytest.mark.parties("real")
async def test_the_steps_of_a_build(bus: Bus, load: Load, made: images.Image, name: str) -> None:
    """Neither an image that was made nor one that was found is lost between two steps."""
    await load(docker_archive(made))
    request = CommitRequest(parent=f"{name}:1", created_by="step", lease=f"{name} one")
    step = (await bus.call(image_store.COMMIT, request)).image.id
    child = ChildRequest(parent=made.id, created_by="step", lease=f"{name} two")
    found = (await bus.call(image_store.CHILD, child)).image
    assert found is not None
    assert found.id == step
    for key in ("one", "two"):
        await prune(bus, name)
        assert await resolve(bus, step) == step
        await bus.call(image_store.END_LEASE, Ref(id=f"{name} {key}"))
    await bus.call(image_store.REMOVE, RemoveRequest(reference=step))
    with pytest.raises(NotFound):
        await resolve(bus, step)


@pytest.mark.parties("real")
async def test_whoever_asks_for_a_step_holds_what_it_stands_on(
    bus: Bus, load: Load, made: images.Image, name: str
) -> None:
    await load(docker_archive(made))
    asked = ChildRequest(parent=made.id, created_by="none", lease=name)
    assert (await bus.call(image_store.CHILD, asked)).image is None
    assert made.id not in await prune(bus, name)
    await bus.call(image_store.END_LEASE, Ref(id=name))
    await prune(bus, name)
    with pytest.raises(NotFound, match="No such image"):
        await bus.call(image_store.CHILD, asked)
