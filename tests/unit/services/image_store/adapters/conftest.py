"""A store's folder, and layers unpacked into it by the real helper."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from services.image_store.adapters.layout import StoreLayout
from services.image_store.adapters.unpack_client import HelperSession, LocalUnpacker
from services.image_store.ports import Entry, Unpacked
from shared.config import Settings

Unpack = Callable[..., Awaitable[tuple[Path, Unpacked]]]


@pytest.fixture
def layout(tmp_path: Path) -> StoreLayout:
    made = StoreLayout(tmp_path / "store")
    made.open()
    return made


@pytest.fixture
def settings() -> Settings:
    """Small limits: what a test archive must not exceed."""
    return Settings(max_unpack_bytes=128 << 20, max_unpack_entries=2000, max_unpack_ratio=100)


@pytest.fixture
async def session(layout: StoreLayout, settings: Settings) -> AsyncIterator[HelperSession]:
    async with LocalUnpacker(layout, settings).session() as made:
        yield made


async def chunks(data: bytes, size: int = 1 << 16) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


@pytest.fixture
def unpack(session: HelperSession) -> Unpack:
    """Unpacks a layer, plain or compressed: its tree, and what the helper tells of it."""

    async def run(layer: bytes, whole: bool = False) -> tuple[Path, Unpacked]:
        session.path("layer").write_bytes(layer)
        folder, told = await session.unpack("layer", hashed=True, whole=whole)
        return folder / "diff", told

    return run


@pytest.fixture
def spool(session: HelperSession) -> Callable[[bytes], Awaitable[tuple[Entry, ...]]]:
    async def run(archive: bytes) -> tuple[Entry, ...]:
        return await session.spool(chunks(archive))

    return run
