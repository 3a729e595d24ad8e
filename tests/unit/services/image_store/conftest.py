"""Images without bytes, for tests of decisions; and a whole store on a real disk, for tests of operations."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import uvloop

from services.image_store.adapters import peers_bus
from services.image_store.domain.catalog import Catalog, Stored
from shared.contracts.common import Descriptor
from shared.contracts.container import ContainerConfig
from shared.contracts.image_store import Image, ReferenceRecord
from shared.digest import digest_of
from tests.support.fake_registry import FakeRegistry
from tests.support.image_store import Store, World

Add = Callable[..., str]


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> dict[str, Callable[[], object]]:
    """The loop that services run on."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture(autouse=True)
def _peers_of_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that are there are in this process: it does not take seconds to find out who they are."""
    monkeypatch.setattr(peers_bus, "PATIENCE", 1.0)


@pytest.fixture
def catalog() -> Catalog:
    return Catalog()


@pytest.fixture
def add(catalog: Catalog) -> Add:
    """Puts an image into the catalog: names in full, layers by any texts. Returns its id."""

    def make(
        seed: str,
        *names: str,
        parent: str = "",
        created: int = 0,
        labels: dict[str, str] | None = None,
        chains: tuple[str, ...] = (),
    ) -> str:
        image_id = digest_of(seed.encode())
        manifest = Descriptor(media_type="m", digest=digest_of(b"m" + seed.encode()), size=1)
        image = Image(id=image_id, parent=parent, created_ns=created, config=ContainerConfig(labels=labels or {}))
        catalog.add(Stored(image=image, manifest=manifest, blobs=frozenset(), chains=chains))
        for name in names:
            full = f"docker.io/library/{name}"
            catalog.name(ReferenceRecord(reference=full, image_id=image_id, tagged=len(name)))
        return image_id

    return make


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
async def store(world: World) -> AsyncIterator[Store]:
    async with world.store() as made:
        yield made


@pytest.fixture
async def registry() -> AsyncIterator[FakeRegistry]:
    async with FakeRegistry().served() as made:
        yield made
