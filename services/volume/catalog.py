"""The volumes of this node: records and folders that agree."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from shared.contracts.volume import SPECS, Changed, VolumeSpec
from shared.errors import AlreadyExists
from shared.shielded import together
from shared.state import State

from .adapters.folders import Folders
from .domain import rules
from .domain.recovery import mend

log = logging.getLogger(__name__)


class Catalog:
    """One writer of this node's volume records; what is here is stored and on disk."""

    def __init__(self, node: str, state: State, folders: Folders, changed: Callable[[Changed], None]) -> None:
        self._node = node
        self._state = state
        self._folders = folders
        self._changed = changed
        self._specs: dict[str, VolumeSpec] = {}

    async def open(self) -> None:
        """Takes over the records and mends what a crash, or the loss of the store, left."""
        view = await self._state.view(SPECS)
        self._specs = {parts[1]: entry.value for parts, entry in view.items(SPECS) if parts[0] == self._node}
        view.stop()
        mending = mend(self._specs.keys(), await asyncio.to_thread(self._folders.found))
        for name in mending.forget:
            await self._forget(name)
        for folder in (*mending.finish, *mending.discard):
            await asyncio.to_thread(self._folders.discard, folder)
        for name in mending.restore:
            log.warning("the folder of volume %s was gone: made anew, empty", name)
            await asyncio.to_thread(self._folders.make, name)
        for name in mending.adopt:
            await self._adopt(name)

    async def _adopt(self, name: str) -> None:
        """A folder with content goes on without its record: what that said of labels and options is lost."""
        log.warning("volume %s has content but no record: taken over", name)
        created = self._folders.age(name)
        mountpoint = str(self._folders.data(name))
        spec = VolumeSpec(name=name, driver=rules.DRIVER, mountpoint=mountpoint, created=created)
        await self._record(spec)
        self._know(spec)

    def all(self) -> list[VolumeSpec]:
        """All volumes, by name."""
        return sorted(self._specs.values(), key=lambda spec: spec.name)

    def get(self, name: str) -> VolumeSpec | None:
        return self._specs.get(name)

    async def add(self, spec: VolumeSpec) -> None:
        """Folder and record at once: where a crash leaves one of them, the next start makes the other or removes it."""
        try:
            await together((asyncio.to_thread(self._folders.make, spec.name), self._record(spec)))
        except OSError:
            await self._state.delete(SPECS, self._node, spec.name)
            raise
        self._know(spec)

    async def _record(self, spec: VolumeSpec) -> None:
        try:
            await self._state.create(SPECS, self._node, spec.name, value=spec)
        except AlreadyExists:  # written by this very request before its answer was lost
            entry = await self._state.get(SPECS, self._node, spec.name)
            if entry is None or entry.value != spec:
                raise

    def _know(self, spec: VolumeSpec) -> None:
        self._specs[spec.name] = spec
        self._changed(Changed(volumes=(spec,)))

    async def remove(self, spec: VolumeSpec) -> None:
        """The folder goes, or is set aside, first: from then on no crash brings back what was in it."""
        aside = await asyncio.to_thread(self._folders.set_aside, spec.name)
        await self._forget(spec.name)
        if aside:
            await asyncio.to_thread(self._folders.discard, aside)

    async def _forget(self, name: str) -> None:
        await self._state.delete(SPECS, self._node, name)
        self._specs.pop(name, None)
        self._changed(Changed(removed=(name,)))
