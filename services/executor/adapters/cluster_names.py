"""Names of containers, unique in the whole cluster: the hubs keep who has which."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import partial

from shared.contracts.common import NameRecord
from shared.contracts.executor import CLUSTER_NAMES
from shared.errors import AlreadyExists, Conflict, DeadlineExceeded, ShoalError, Unavailable
from shared.state import State
from shared.state.view import Entry
from shared.tasks import TaskGroup

from .patience import patiently

log = logging.getLogger(__name__)


class ClusterNames:
    """This host's names in the cluster. Taking one needs the cluster; giving one up is made good later."""

    def __init__(self, state: State, node: str, tasks: TaskGroup) -> None:
        self._state, self._node, self._tasks = state, node, tasks
        # Names with their containers, taken since this process began: these may just be being made.
        self._taken: set[tuple[str, str]] = set()
        self._doubtful: dict[str, str] = {}  # who may have got a name of the hubs, whose answer did not come

    async def take(self, name: str, container_id: str) -> None:
        """Raises `AlreadyExists` when another container has it, `Unavailable` when the hubs cannot be asked."""
        self._taken.add((name, container_id))
        try:
            await self._state.create(CLUSTER_NAMES, name, value=NameRecord(id=container_id, node=self._node))
        except AlreadyExists:
            if await self.holder(name) != container_id:
                self._taken.discard((name, container_id))
                raise
        except (Unavailable, DeadlineExceeded):
            self._taken.discard((name, container_id))
            self._doubt(name, container_id)
            raise Unavailable(
                f"this host is cut off from its cluster: nobody knows whether the name {name} is free"
            ) from None

    async def bring(self, name: str, container_id: str) -> None:
        """The container that has the name is this host's from now on. Raises `Unavailable` when nobody can be asked."""
        self._taken.add((name, container_id))
        mine = NameRecord(id=container_id, node=self._node)
        entry = await self._state.get(CLUSTER_NAMES, name)
        if entry is None:
            await self._state.create(CLUSTER_NAMES, name, value=mine)
        elif entry.value.id != container_id:
            _taken_already(name, container_id)
        elif entry.value != mine:
            await self._state.update(CLUSTER_NAMES, name, value=mine, revision=entry.revision)

    def _doubt(self, name: str, container_id: str) -> None:
        begins = not self._doubtful
        self._doubtful[name] = container_id
        if begins:
            self._tasks.start(self._settle(), "names")

    async def _settle(self) -> None:
        while self._doubtful:
            name, container_id = next(iter(self._doubtful.items()))
            await patiently(partial(self._give_back, name, container_id))
            if self._doubtful[name] == container_id:
                del self._doubtful[name]

    async def _give_back(self, name: str, container_id: str) -> None:
        entry = await self._state.get(CLUSTER_NAMES, name)
        if entry is not None and entry.value.id == container_id and (name, container_id) not in self._taken:
            await self._delete(name, entry)

    async def holder(self, name: str) -> str:
        """The id of the container that has a name; empty when none has it, or nobody can be asked."""
        try:
            entry = await self._state.get(CLUSTER_NAMES, name)
        except ShoalError:
            return ""
        return entry.value.id if entry else ""

    async def release(self, name: str, container_id: str) -> None:
        """Gives up a name that a container of this host had: at once, or when the hubs can be asked again. The next
        one that is called so keeps it.
        """
        try:
            await self._release(name, container_id)
        except ShoalError as error:
            log.info("the name %s is given up later: %s", name, error)
            self._tasks.start(patiently(partial(self._release, name, container_id)), "name")

    async def _release(self, name: str, container_id: str) -> None:
        entry = await self._state.get(CLUSTER_NAMES, name)
        if entry is not None and entry.value == NameRecord(id=container_id, node=self._node):
            await self._delete(name, entry)
        self._taken.discard((name, container_id))

    async def _delete(self, name: str, entry: Entry[NameRecord]) -> None:
        try:
            await self._state.delete(CLUSTER_NAMES, name, revision=entry.revision)
        except Conflict:
            log.info("the name %s was given up and taken again meanwhile", name)

    async def forget_host(self, node: str) -> None:
        """Gives up what another host, which is none of the cluster any more, has left."""
        view = await self._state.view(CLUSTER_NAMES)
        view.stop()
        for parts, entry in view.items(CLUSTER_NAMES):
            if entry.value.node == node:
                await self._delete(parts[0], entry)

    async def reconcile(self, names: Callable[[], Mapping[str, str]]) -> None:
        """What a crash left is given up, what this host brought into the cluster is taken. Waits for the hubs."""
        view = await patiently(lambda: self._state.view(CLUSTER_NAMES))
        view.stop()
        held = {parts[0]: entry for parts, entry in view.items(CLUSTER_NAMES)}
        mine = names()
        for name, entry in held.items():
            if entry.value.node == self._node and name not in mine and (name, entry.value.id) not in self._taken:
                await patiently(partial(self._delete, name, entry))
        for name, container_id in mine.items():
            if name not in held:
                await self._bring(name, container_id)
                if names().get(name) != container_id:  # it was removed, or renamed, meanwhile
                    await self.release(name, container_id)
            elif held[name].value.id != container_id:
                _taken_already(name, container_id)

    async def _bring(self, name: str, container_id: str) -> None:
        try:
            await patiently(partial(self.take, name, container_id))
        except AlreadyExists:
            _taken_already(name, container_id)


def _taken_already(name: str, container_id: str) -> None:
    log.warning("a container of another host is called %s, too: here the name means %s", name, container_id)
