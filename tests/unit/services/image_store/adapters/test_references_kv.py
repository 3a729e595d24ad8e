from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from services.image_store.adapters.references_kv import KvReferences
from services.image_store.domain.catalog import Catalog
from shared.contracts.image_store import REFERENCES, ReferenceRecord
from shared.reference import parse
from shared.state import MemoryState

Add = Callable[..., str]


def record(name: str, image_id: str) -> ReferenceRecord:
    return ReferenceRecord(reference=f"docker.io/library/{name}", image_id=image_id)


@pytest.fixture
async def state() -> MemoryState:
    return MemoryState("image_store")


async def test_a_name_shows_when_the_call_returns(state: MemoryState, catalog: Catalog, add: Add) -> None:
    first, second = add("a"), add("b")
    references = KvReferences(state, "node1", catalog)
    await references.open()
    await references.put(record("x:1", first))
    assert catalog.holder(parse("x:1")) == first
    await references.put(record("x:1", second))
    assert catalog.holder(parse("x:1")) == second
    await references.delete("docker.io/library/x:1")
    await references.delete("docker.io/library/x:1")
    assert catalog.holder(parse("x:1")) == ""


async def test_names_of_other_nodes_are_none_of_ours(state: MemoryState, catalog: Catalog, add: Add) -> None:
    image_id = add("a")
    await state.create(REFERENCES, "node2", "docker.io/library/x:1", value=record("x:1", image_id))
    await state.create(REFERENCES, "node1", "docker.io/library/y:1", value=record("y:1", image_id))
    await KvReferences(state, "node1", catalog).open()
    assert catalog.image(image_id).repo_tags == ("y:1",)


async def test_of_two_that_give_a_name_at_once_one_wins(state: MemoryState, catalog: Catalog, add: Add) -> None:
    ids = [add(seed) for seed in "ab"]
    references = KvReferences(state, "node1", catalog)
    await references.open()
    await asyncio.gather(*(references.put(record("x:1", image_id)) for image_id in ids))
    assert catalog.holder(parse("x:1")) in ids
