"""The scheduler's endpoints."""

from __future__ import annotations

import asyncio
import logging

from shared import cluster, pki
from shared.clock import now_ns
from shared.cluster import Membership, Place
from shared.contracts.base import Empty
from shared.contracts.executor import CreateRequest
from shared.contracts.platform import HOST, HostInfo
from shared.contracts.scheduler import (
    HERE,
    NODES,
    TOKENS,
    CreatedReply,
    JoinReply,
    JoinRequest,
    Node,
    NodeRecord,
    NodesReply,
    TokenRecord,
    TokenReply,
    TokenRequest,
    UpdateRequest,
)
from shared.errors import (
    AlreadyExists,
    Conflict,
    DeadlineExceeded,
    FailedPrecondition,
    NotFound,
    ShoalError,
    Unavailable,
)
from shared.joining import Token, digest
from shared.service import Kernel
from shared.state.streams import ensure_agreed
from shared.state.view import View
from shared.version import ENGINE_VERSION

from .adapters.door import Door
from .adapters.placing import Placing
from .adapters.world import World
from .domain import admission

log = logging.getLogger(__name__)

SECOND = 1_000_000_000
WAIT = 2.0
"""Seconds that the start waits for the cluster."""
PAUSE = 1.0


class SchedulerService:
    """The hosts of the cluster that this host is in."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._files = cluster.folder(kernel.settings.state_path)
        self._door = Door(self._files, self._admit)
        self._view: View | None = None
        self._world: World | None = None
        self._placing: Placing | None = None

    async def open(self) -> None:
        """Records this host, and on a hub opens the door for newcomers. A host that is cut off is recorded later."""
        membership = self._membership()
        if membership.role == "hub":
            await ensure_agreed(self._kernel.bus, replicas=1)
        self._view = await self._kernel.state.view(NODES, wait=WAIT)
        recording = self._kernel.tasks.start(self._record(membership), "record")
        await asyncio.wait((recording,), timeout=WAIT)
        self._world = World(self._kernel.state, self._kernel.node, self._view)
        await self._world.open()
        self._placing = Placing(self._kernel, self._world)
        if membership.role == "hub":
            place = Place.parse(membership.address)
            await self._door.open(place.host, place.port)

    async def close(self) -> None:
        await self._door.close()
        if self._world is not None:
            await self._world.close()

    async def create(self, request: CreateRequest) -> CreatedReply:
        """Chooses a host and makes the container there."""
        assert self._placing is not None
        return await self._placing.create(request)

    async def token(self, request: TokenRequest) -> TokenReply:
        """A new token; only its digest is kept."""
        admission.check_life(request.seconds)
        membership = self._membership()
        token = Token.new(pki.fingerprint((self._files / "ca.crt").read_bytes()))
        record = TokenRecord(expires=now_ns() + request.seconds * SECOND, once=request.once)
        await self._kernel.state.create(TOKENS, digest(token.secret), value=record)
        return TokenReply(token=str(token), place=membership.hubs[0])

    async def nodes(self, request: Empty) -> NodesReply:
        """All hosts by name; each is asked whether it is there."""
        records = sorted(self._records(), key=lambda record: record.name)
        ready = await asyncio.gather(*(self._answers(record.id) for record in records))
        return NodesReply(nodes=tuple(Node(record=one, ready=is_) for one, is_ in zip(records, ready, strict=True)))

    async def update(self, request: UpdateRequest) -> NodeRecord:
        """Writes what an operator says of a host."""
        node = admission.named(request.node, self._records()).id
        while True:
            present = await self._kernel.state.get(NODES, node)
            if present is None:
                raise NotFound(f"node {request.node} not found")
            changed = admission.updated(present.value, request)
            try:
                await self._kernel.state.update(NODES, node, value=changed, revision=present.revision)
            except Conflict:  # the host has told something of itself meanwhile
                continue
            return changed

    async def here(self, request: Empty) -> Empty:
        """That this host is there."""
        return Empty()

    async def _answers(self, node: str) -> bool:
        try:
            await self._kernel.bus.call(HERE, Empty(), node=node, timeout=1)
        except ShoalError:
            return False
        return True

    def _membership(self) -> Membership:
        found = cluster.load(self._kernel.settings.state_path)
        if found is None:
            raise FailedPrecondition("this host is in no cluster; first: shoal cluster init, or shoal node join")
        return found

    def _records(self) -> list[NodeRecord]:
        assert self._view is not None
        return [entry.value for _, entry in self._view.items(NODES)]

    async def _record(self, membership: Membership) -> None:
        """Tells the cluster what this host is; what operators said of it stays. Waits for the hubs."""
        while True:
            try:
                return await self._put(membership, await self._kernel.bus.call(HOST, Empty()))
            except (Unavailable, DeadlineExceeded, Conflict, AlreadyExists) as error:
                log.info("this host is not recorded yet: %s", error)
                await asyncio.sleep(PAUSE)

    async def _put(self, membership: Membership, host: HostInfo) -> None:
        state, node, settings = self._kernel.state, self._kernel.node, self._kernel.settings
        present = await state.get(NODES, node)
        told = NodeRecord(
            id=node,
            name=settings.node,
            role=membership.role,
            address=membership.address,
            joined=present.value.joined if present else now_ns(),
            labels=present.value.labels if present else {},
            availability=present.value.availability if present else "active",
            engine_labels=settings.labels,
            memory=host.memory_bytes,
            cpus=host.cpus * SECOND,
            os=host.platform.os,
            architecture=host.platform.architecture,
            version=ENGINE_VERSION,
        )
        if present is None:
            await state.create(NODES, node, value=told)
        elif told != present.value:
            await state.update(NODES, node, value=told, revision=present.revision)

    async def _admit(self, request: JoinRequest) -> JoinReply:
        """Lets a newcomer in: the token is used up before the certificate is made, so that it serves one."""
        admission.check_request(request, self._records())
        kept = await self._kernel.state.get(TOKENS, digest(request.secret))
        admission.check_token(kept.value if kept else None, now_ns())
        assert kept is not None
        if kept.value.once:
            await self._kernel.state.delete(TOKENS, digest(request.secret), revision=kept.revision)
        membership = self._membership()
        by = pki.Identity((self._files / "ca.crt").read_bytes(), (self._files / "ca.key").read_bytes())
        host = Place.parse(request.address).host.strip("[]")
        certificate = pki.issue(by, request.request.encode(), request.node, host, now_ns())
        return JoinReply(
            certificate=certificate.decode(),
            authority=by.certificate.decode(),
            cluster=membership.cluster,
            hubs=membership.hubs,
            secret=membership.secret,
        )
