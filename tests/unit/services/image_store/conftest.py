"""Images without bytes, for tests of decisions."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from services.image_store.domain.catalog import Catalog, Stored
from services.image_store.domain.digest import digest_of
from shared.contracts.common import Descriptor
from shared.contracts.container import ContainerConfig
from shared.contracts.image_store import Image, ReferenceRecord

Add = Callable[..., str]


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
