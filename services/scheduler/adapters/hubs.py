"""This host's part in its cluster: its membership follows the records, and on a hub the hubs' servers do.

Whatever changes is looked at as a whole: what is, what is to be, the next step; until nothing is left to be done.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Set
from contextlib import suppress
from typing import Any

import msgspec

from shared import cluster, pki
from shared.clock import now_ns
from shared.cluster import Member, Membership, Place
from shared.contracts.base import Keys
from shared.contracts.scheduler import AUTHORITY, HUBS, NODES, AuthorityRequest, HubsRecord, JoinRequest, NodeRecord
from shared.errors import AlreadyExists, Conflict, DeadlineExceeded, FailedPrecondition, ShoalError, Unavailable
from shared.hub_operator import HubOperator
from shared.service import Kernel
from shared.state.streams import ensure_agreed, replicate_agreed, who_keeps_agreed
from shared.state.view import Entry, View
from shared.tasks import TaskGroup

from ..domain import hubs
from .door import ask

log = logging.getLogger(__name__)

ALL = "all"
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 10.0
HAND_OVER_SECONDS = 40.0
REPLACE_SECONDS = 300.0
"""A hub whose host has not been heard of for so long is replaced, where there is another host."""


class Hubs:
    """Follows `view`, which shows nodes and hubs. `reachable` tells the hosts that are heard of, and `heard` has its
    argument called when others are.

    `changed` is called when this host's membership, or whether it `keeps` what is agreed on, has changed, with what it
    is now; None: it is out.
    """

    def __init__(
        self,
        kernel: Kernel,
        view: View,
        reachable: Callable[[], tuple[str, ...]],
        heard: Callable[[Callable[[], None]], object],
        changed: Callable[[Membership | None], Awaitable[None]],
    ) -> None:
        self._kernel, self._view, self._changed = kernel, view, changed
        self._reachable, self._heard = reachable, heard
        self._path = kernel.settings.state_path
        self._files = cluster.folder(self._path)
        self._look = asyncio.Event()
        self._last_heard: dict[str, float] = {}
        self._told_members = 0.0
        self._removed = False
        self.keeps = False
        """Whether the hub of this host was seen to have what is agreed on; before that it is only to be one."""
        self._operator: tuple[str, int, HubOperator] | None = None
        self._tasks = TaskGroup("hubs")

    def open(self) -> None:
        self._view.on_change(self._record_changed)
        self._view.on_live(self._look.set)
        self._heard(self._look.set)
        self._tasks.start(self._follow(), "follow")

    async def close(self) -> None:
        await self._tasks.close()
        if self._operator is not None:
            await self._operator[2].close()

    def _record_changed(self, keys: Keys[Any], parts: tuple[str, ...], entry: Entry[Any] | None) -> None:
        if keys.pattern == NODES.pattern and parts[0] == self._kernel.node:
            self._removed = entry is None
        self._look.set()

    async def _follow(self) -> None:
        pause = FIRST_PAUSE
        while True:
            self._look.clear()
            try:
                if await self._step():
                    await self._look.wait()
                    pause = FIRST_PAUSE
                    continue
            except (ShoalError, OSError) as error:
                log.info("the hubs are not as they are to be yet: %s", error)
                if await self._told_removed():
                    await self._leave()
            try:
                async with asyncio.timeout(pause):  # a server that comes or catches up tells nobody
                    await self._look.wait()
                pause = FIRST_PAUSE
            except TimeoutError:
                pause = min(pause * 2, LONGEST_PAUSE)

    async def _step(self) -> bool:
        """Whether nothing is left to be done."""
        membership = cluster.load(self._path)
        if membership is None:
            return True
        if membership.hub and self._view.get(HUBS, ALL) is None:
            await self._found(membership)
            return False
        if self._view.get(NODES, self._kernel.node) is None:
            return await self._out()
        if not self._view.live:
            raise Unavailable("the hubs are not heard of")
        if membership.hub and await self._choose():
            return False
        if not await self._take_over(membership):
            return False
        return await self._keep() if membership.hub else True

    async def _found(self, membership: Membership) -> None:
        """The first host's first records. What others have written stays."""
        await ensure_agreed(self._kernel.bus)
        if await self._kernel.state.get(HUBS, ALL) is not None:
            return
        member = next(one for one in cluster.members(self._path) if one.id == self._kernel.node)
        node = NodeRecord(
            id=member.id,
            name=self._kernel.settings.node,
            role="hub",
            address=membership.address,
            joined=now_ns(),
            link=member.link,
            pin=member.pin,
        )
        with suppress(AlreadyExists):
            await self._kernel.state.create(NODES, member.id, value=node)
        with suppress(AlreadyExists):
            await self._kernel.state.create(HUBS, ALL, value=HubsRecord(hubs={member.id: membership.hub}))

    async def _out(self) -> bool:
        """This host is no member any more, if the hubs say that there is no record of it, or it saw that go and can ask
        them no more. Seeing alone may deceive: a watch that begins anew at a hub that is behind shows what that has.
        """
        try:
            if await self._kernel.state.get(NODES, self._kernel.node) is not None:
                return False  # seen soon
            if not self._removed and await self._kernel.state.get(HUBS, ALL) is None:
                return False
        except (Unavailable, DeadlineExceeded):
            if not self._removed:
                raise
        return await self._leave()

    async def _leave(self) -> bool:
        log.warning("this host has been removed from its cluster and goes on alone")
        cluster.forget(self._path)
        await self._changed(None)
        return True

    async def _told_removed(self) -> bool:
        """Whether a hub says so at its door, to a host that is cut off; one is enough: its certificate is checked."""
        membership = cluster.load(self._path)
        others = [hub for hub in membership.hubs if hub != membership.address] if membership else []
        for hub in others:
            try:
                if (await ask(Place.parse(hub), self._files, JoinRequest(node=self._kernel.node))).removed:
                    return True
            except (OSError, ShoalError, TimeoutError) as error:
                log.info("%s cannot be asked: %s", hub, error)
        return False

    def _nodes(self) -> dict[str, NodeRecord]:
        return {parts[0]: entry.value for parts, entry in self._view.items(NODES)}

    def _hubs(self) -> dict[str, str]:
        entry = self._view.get(HUBS, ALL)
        return entry.value.hubs if entry is not None else {}

    async def _choose(self) -> bool:
        """Writes down which hosts are to be hubs; whether that has changed."""
        nodes, present = self._nodes(), self._hubs()
        there = {*self._reachable(), self._kernel.node}
        ids = hubs.chosen(nodes.values(), present.keys(), self._lost(there), there)
        if set(ids) == present.keys():
            return False
        entry = await self._kernel.state.get(HUBS, ALL)
        if entry is None or entry.value.hubs != present:
            return True  # another host was faster; seen soon
        record = HubsRecord(hubs={id: present.get(id) or cluster.new_hub(id) for id in ids})
        try:
            await self._kernel.state.update(HUBS, ALL, value=record, revision=entry.revision)
        except Conflict:
            return True
        log.info("hubs are to be %s", ", ".join(nodes[id].name for id in ids))
        return True

    def _lost(self, there: set[str]) -> set[str]:
        now = asyncio.get_running_loop().time()
        for id in self._hubs():
            if id in there or id not in self._last_heard:
                self._last_heard[id] = now
        return {id for id, heard in self._last_heard.items() if now - heard > REPLACE_SECONDS}

    async def _take_over(self, membership: Membership) -> bool:
        """Files as the records have it; the supervisor acts on them. Whether they were so already."""
        nodes, present = self._nodes(), self._hubs()
        places = tuple(nodes[id].address for id in sorted(present) if id in nodes)
        hub = present.get(self._kernel.node, "")
        if not places:
            return False
        if hub:
            await self._as_hub(nodes, present)
        if membership.hub and not hub and not await self._replaced(membership.hub):
            hub = membership.hub
            await self._as_hub(nodes, present)
        wanted = msgspec.structs.replace(membership, hubs=places, hub=hub)
        if wanted == membership:
            return True
        self.keeps &= wanted.hub == membership.hub
        cluster.save(self._path, wanted)
        await self._changed(wanted)
        return False

    async def _replaced(self, hub: str) -> bool:
        """Whether others have what is agreed on, and the hubs have let this one go."""
        kept = await who_keeps_agreed(self._kernel.bus)
        names = hubs.names(self._nodes(), self._hubs())
        return bool(kept.current & names) and hub not in kept.current | kept.behind

    async def handed_over(self, node: str) -> None:
        """Returns when a host can go without taking anything along that is agreed on.

        Raises `FailedPrecondition` when no other hub has it in time.
        """
        try:
            async with asyncio.timeout(HAND_OVER_SECONDS):
                while not await self._kept_without(node):  # noqa: ASYNC110  # a hub that has caught up tells nobody
                    await asyncio.sleep(FIRST_PAUSE)
        except TimeoutError:
            raise FailedPrecondition("no other hub has yet what the hosts have agreed on; try again") from None

    async def _kept_without(self, node: str) -> bool:
        others = {name for id, name in self._hubs().items() if id != node}
        try:
            kept = await who_keeps_agreed(self._kernel.bus)
        except Unavailable:
            return False
        return hubs.outlive(others & kept.current, kept.current | kept.behind)

    async def _as_hub(self, nodes: dict[str, NodeRecord], present: dict[str, str]) -> None:
        files = cluster.folder(self._path)
        if not (files / "ca.key").exists():
            holders = present.keys() | {node.id for node in nodes.values() if node.role == "hub"}
            cluster.write(files / "ca.key", await self._authority(holders))
        members = (
            Member(id=node.id, link=node.link, pin=node.pin, hub=node.id in present or node.role == "hub")
            for node in nodes.values()
            if node.link
        )
        if cluster.save_members(self._path, members):
            self._told_members = now_ns() / 1e9

    async def _authority(self, holders: Set[str]) -> bytes:
        """The authority's key, from any hub that has it."""
        key = (cluster.folder(self._path) / "node.key").read_bytes()
        asked = AuthorityRequest(node=self._kernel.node, request=pki.request(key).decode())
        for node in holders:
            if node != self._kernel.node:
                try:
                    return pki.unseal((await self._kernel.bus.call(AUTHORITY, asked, node=node)).sealed, key)
                except ShoalError as error:
                    log.info("no authority from %s: %s", node, error)
        raise Unavailable("no hub gives the authority's key yet")

    async def _keep(self) -> bool:
        """One step towards servers and replicas as they are to be; whether there is none left."""
        membership = cluster.load(self._path)
        if membership is None or not membership.hub:
            return True
        operator = await self._connected(membership.hub)
        group = await operator.group()
        if not group.leader:
            raise Unavailable("no hub leads")
        if not await self._cut(operator):
            return False
        kept = await who_keeps_agreed(self._kernel.bus)
        if not self.keeps and membership.hub in kept.current:
            self.keeps = True
            await self._changed(membership)
        names = hubs.names(self._nodes(), self._hubs())
        step = hubs.step(names, group.peers, kept.wanted, kept.current, kept.behind)
        if group.leader == membership.hub and step.remove is not None:
            log.info("hub %s is removed", step.remove.name or step.remove.id)
            await operator.remove(step.remove)
        if group.leader == membership.hub and step.replicas:
            log.info("what is agreed on is to be kept by %d hubs", step.replicas)
            await replicate_agreed(self._kernel.bus, step.replicas)
        return step.settled and membership.hub in names

    async def _cut(self, operator: HubOperator) -> bool:
        """Ends links of hosts that are no members; whether there were none, with who is let in taken over."""
        if await operator.loaded() < self._told_members:
            return False
        members = {f"shoal-{member.id}" for member in cluster.members(self._path)}
        strangers = [number for number, name in (await operator.linked()).items() if name not in members]
        for number in strangers:
            await operator.cut(number)
        return not strangers

    async def _connected(self, hub: str) -> HubOperator:
        folder = self._path / "hub"
        try:
            name, port = (folder / "name").read_text(), int((folder / "port").read_text())
        except (FileNotFoundError, ValueError):
            name, port = "", 0
        if name != hub:
            raise Unavailable("this host's hub has not begun yet")
        if self._operator is not None and self._operator[:2] != (hub, port):
            await self._operator[2].close()
            self._operator = None
        if self._operator is None:
            seed = self._path / "keys" / "hub.nk"
            self._operator = hub, port, await HubOperator.connect(port, seed, hub)
        return self._operator[2]
