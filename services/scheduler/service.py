"""The scheduler's endpoints."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from msgspec.structs import replace

from shared import cluster, pki
from shared.clock import now_ns
from shared.cluster import Membership, Place
from shared.contracts.base import Empty
from shared.contracts.executor import FORGET_HOST, CreateRequest, ForgetHostRequest
from shared.contracts.movable import SETTLE
from shared.contracts.platform import HOST, HostInfo
from shared.contracts.scheduler import (
    HERE,
    HOST_LEASES,
    HUBS,
    NODES,
    TOKENS,
    AuthorityReply,
    AuthorityRequest,
    BringReply,
    BringRequest,
    ChooseReply,
    ChooseRequest,
    CreatedReply,
    JoinReply,
    JoinRequest,
    Node,
    NodeRecord,
    NodesReply,
    RemoveNodeRequest,
    RenewReply,
    RenewRequest,
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
    PermissionDenied,
    ShoalError,
    Unavailable,
)
from shared.joining import Token, digest
from shared.service import Kernel
from shared.shielded import finish
from shared.state.view import View
from shared.tenure import Desk
from shared.version import ENGINE_VERSION

from .adapters.door import Door
from .adapters.host_lease import HostLeaseKeeper
from .adapters.hubs import ALL, Hubs
from .adapters.placing import Placing
from .adapters.renewal import Renewal
from .adapters.rescue import Rescue
from .adapters.world import World
from .domain import admission

log = logging.getLogger(__name__)

SECOND = 1_000_000_000
WAIT = 2.0
"""Seconds that the start waits for the cluster."""
PAUSE = 1.0
ENOUGH_HUBS = 3
"""With fewer the loss of one would make every host give up what may be moved, and nobody could take it."""


class SchedulerService:
    """The hosts of the cluster that this host is in."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._files = cluster.folder(kernel.settings.state_path)
        self._door = Door(self._files, self._admit)
        self._view: View | None = None
        self._world: World | None = None
        self._placing: Placing | None = None
        self._hubs: Hubs | None = None
        self._renewal = Renewal(kernel, self._hub_hosts, self._door.renew)
        self._rescue: Rescue | None = None
        desk = Desk(kernel.settings)
        self._lease = HostLeaseKeeper(kernel.state, kernel.node, desk, lambda: kernel.bus.call(SETTLE, Empty()))

    async def open(self) -> None:
        """Records this host, and on a hub opens the door for newcomers. A host that is cut off is recorded later."""
        membership = self._membership()
        self._view = await self._kernel.state.view(NODES, HUBS, wait=WAIT)
        self._world = World(self._kernel.state, self._kernel.node, self._view)
        self._hubs = Hubs(self._kernel, self._view, self._world.reachable, self._world.on_heard, self._became)
        self._hubs.open()
        recording = self._kernel.tasks.start(self._record(membership), "record")
        await asyncio.wait((recording,), timeout=WAIT)
        await self._world.open()
        self._placing = Placing(self._kernel, self._world, self._moves)
        self._rescue = Rescue(self._kernel, self._world, self._placing, self._view)
        await self._rescue.open()
        self._lease.open()
        await self._answer_newcomers(membership)
        self._renewal.open()

    def _hub_hosts(self) -> list[str]:
        """This host first, if it is one."""
        hubs = [record.id for record in self._records() if record.role == "hub"]
        return sorted(hubs, key=lambda id: id != self._kernel.node)

    async def _became(self, membership: Membership | None) -> None:
        """This host's place in the cluster has changed. One that is out is ended soon, with all services."""
        if membership is None:
            await self._door.close()
            return
        await self._answer_newcomers(membership)
        self._kernel.tasks.start(self._record(membership), "record")

    async def _answer_newcomers(self, membership: Membership) -> None:
        """Opens the door on a hub, closes it elsewhere."""
        place = Place.parse(membership.address)
        if membership.hub:
            await self._door.open(place.host, place.port)
        else:
            await self._door.close()

    async def close(self) -> None:
        await self._renewal.close()
        if self._hubs is not None:
            await self._hubs.close()
        await self._door.close()
        await self._lease.close()
        if self._rescue is not None:
            await self._rescue.close()
        if self._world is not None:
            await self._world.close()

    async def create(self, request: CreateRequest) -> CreatedReply:
        """Chooses a host and makes the container there."""
        assert self._placing is not None
        return await self._placing.create(request)

    async def choose(self, request: ChooseRequest) -> ChooseReply:
        """A host for a container that is to move."""
        assert self._placing is not None
        return ChooseReply(node=self._placing.choose(request))

    async def bring(self, request: BringRequest) -> BringReply:
        """Has an image brought to this host."""
        assert self._placing is not None
        return BringReply(image_id=await self._placing.bring_here(request))

    async def token(self, request: TokenRequest) -> TokenReply:
        """A new token; only its digest is kept."""
        admission.check_life(request.seconds)
        membership = self._membership()
        token = Token.new(pki.fingerprint((self._files / "ca.crt").read_bytes()))
        record = TokenRecord(expires=now_ns() + request.seconds * SECOND, once=request.once, by=self._kernel.node)
        await self._kernel.state.create(TOKENS, digest(token.secret), value=record)
        return TokenReply(token=str(token), place=membership.address if membership.hub else membership.hubs[0])

    async def nodes(self, request: Empty) -> NodesReply:
        """All hosts by name; each is asked whether it is there."""
        records = sorted(self._records(), key=lambda record: record.name)
        ready = await asyncio.gather(*(self._answers(record.id) for record in records))
        return NodesReply(nodes=tuple(Node(record=one, ready=is_) for one, is_ in zip(records, ready, strict=True)))

    async def update(self, request: UpdateRequest) -> NodeRecord:
        """Writes what an operator says of a host."""
        node = admission.named(request.node, self._records())
        return await self._rewrite(node, lambda record: admission.updated(record, request))

    async def _rewrite(self, node: NodeRecord, change: Callable[[NodeRecord], NodeRecord]) -> NodeRecord:
        while True:
            present = await self._kernel.state.get(NODES, node.id)
            if present is None:
                raise NotFound(f"node {node.name} not found")
            changed = change(present.value)
            try:
                await self._kernel.state.update(NODES, node.id, value=changed, revision=present.revision)
            except Conflict:  # the host has told something of itself meanwhile
                continue
            return changed

    async def remove(self, request: RemoveNodeRequest) -> NodeRecord:
        """Takes a host out: first what it alone has is handed over, then nobody lets it in, then its names go.

        Carried through: who asks again when its record is gone finds no host whose names could go.
        """
        return await finish(self._kernel.tasks, self._remove(request))

    async def _remove(self, request: RemoveNodeRequest) -> NodeRecord:
        assert self._hubs is not None
        node = admission.named(request.node, self._records())
        if not request.force:
            containers = self._world.containers_of(node.id) if self._world else 0
            admission.check_removal(node, containers, await self._answers(node.id))
        if len(self._records()) > 1:
            node = await self._hand_over(node, self._hubs)
        await self._remove_tokens(node.id)
        if node.id == self._kernel.node:
            await self._kernel.bus.call(FORGET_HOST, ForgetHostRequest(node=node.id))
        await self._kernel.state.delete(NODES, node.id)
        await self._kernel.state.delete(HOST_LEASES, node.id)
        if node.id != self._kernel.node:
            await self._kernel.bus.call(FORGET_HOST, ForgetHostRequest(node=node.id))
        return node

    async def _hand_over(self, node: NodeRecord, hubs: Hubs) -> NodeRecord:
        """It gets nothing new, and what it alone has others get. A host that cannot go is as it was before."""
        leaving = await self._rewrite(node, lambda one: replace(one, leaving=True, availability="drain"))
        try:
            await hubs.handed_over(node.id)
        except ShoalError:
            await self._rewrite(node, lambda one: replace(one, leaving=False, availability=node.availability))
            raise
        return leaving

    async def _remove_tokens(self, node: str) -> None:
        view = await self._kernel.state.view(TOKENS)
        view.stop()
        for parts, entry in view.items(TOKENS):
            if entry.value.by == node:
                await self._kernel.state.delete(TOKENS, *parts)

    async def authority(self, request: AuthorityRequest) -> AuthorityReply:
        """The authority's key, for a host that is to be a hub."""
        asked, path = request.request.encode(), self._files / "ca.key"
        hubs, node = await self._kernel.state.get(HUBS, ALL), await self._kernel.state.get(NODES, request.node)
        if hubs is None or node is None or request.node not in hubs.value.hubs or pki.pin(asked) != node.value.pin:
            raise PermissionDenied(f"{request.node} is not to be a hub, or another host asks in its name")
        if not path.exists():
            raise Unavailable("this host does not have the authority's key")
        return AuthorityReply(sealed=pki.seal(path.read_bytes(), asked))

    async def renew(self, request: RenewRequest) -> RenewReply:
        """A new certificate for a host of the cluster, for the key it is known by."""
        asked, path = request.request.encode(), self._files / "ca.key"
        node = await self._kernel.state.get(NODES, request.node)
        if node is None or pki.pin(asked) != node.value.pin:
            raise PermissionDenied(f"{request.node} is none of the cluster's hosts, or another host asks in its name")
        if not path.exists():
            raise Unavailable("this host does not have the authority's key")
        by = pki.Identity((self._files / "ca.crt").read_bytes(), path.read_bytes())
        host = Place.parse(node.value.address).host.strip("[]")
        return RenewReply(certificate=pki.issue(by, asked, request.node, host, now_ns()).decode())

    async def here(self, request: Empty) -> Empty:
        """That this host is there."""
        return Empty()

    def _moves(self) -> bool:
        """Whether containers may be started elsewhere when their host is lost: if the hubs outlive the loss of one."""
        setting = self._kernel.settings.failover
        hubs = sum(record.role == "hub" for record in self._records())
        return setting == "always" or (setting == "auto" and hubs >= ENOUGH_HUBS)

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
        if present is None:  # made when the host was let in; who makes it again here would undo its removal
            raise Unavailable("the record of this host is not there")
        keeps = self._hubs is not None and self._hubs.keeps
        told = replace(
            present.value,
            name=settings.node,
            role=membership.role if keeps or not membership.hub else present.value.role,
            address=membership.address,
            engine_labels=settings.labels,
            memory=host.memory_bytes,
            cpus=host.cpus * SECOND,
            os=host.platform.os,
            architecture=host.platform.architecture,
            emulated=admission.emulated(host.platform, host.platforms),
            version=ENGINE_VERSION,
        )
        if told != present.value:
            await state.update(NODES, node, value=told, revision=present.revision)

    async def _admit(self, request: JoinRequest) -> JoinReply:
        """Lets a newcomer in: the token is used up before the certificate is made, so that it serves one."""
        if not request.secret:
            return await self._tell_member(request.node)
        pin = pki.pin(request.request.encode())
        admission.check_request(request, self._records())
        if any(one.id == request.node for one in self._records()) and await self._answers(request.node):
            raise AlreadyExists(f"a host of the cluster has the node id {request.node}, and is there")
        kept = await self._kernel.state.get(TOKENS, digest(request.secret))
        admission.check_token(kept.value if kept else None, now_ns())
        assert kept is not None
        if kept.value.once:
            try:
                await self._kernel.state.delete(TOKENS, digest(request.secret), revision=kept.revision)
            except Conflict:  # two knocked with one token at the same time
                admission.check_token(None, now_ns())
        await self._let_in(request, pin)
        membership = self._membership()
        by = pki.Identity((self._files / "ca.crt").read_bytes(), (self._files / "ca.key").read_bytes())
        host = Place.parse(request.address).host.strip("[]")
        certificate = pki.issue(by, request.request.encode(), request.node, host, now_ns())
        return JoinReply(
            certificate=certificate.decode(),
            authority=by.certificate.decode(),
            cluster=membership.cluster,
            hubs=membership.hubs,
        )

    async def _tell_member(self, node: str) -> JoinReply:
        """To a host that is cut off: whether it still is in."""
        member = await self._kernel.state.get(NODES, node)
        hubs = await self._kernel.state.get(HUBS, ALL)
        return JoinReply(removed=member is None and hubs is not None, cluster=self._membership().cluster)

    async def _let_in(self, request: JoinRequest, pin: str) -> None:
        """The host's record: with it the hubs let its broker in. One that a half-made try has left is replaced."""
        record = NodeRecord(
            id=request.node,
            name=request.name,
            role="leaf",
            address=request.address,
            joined=now_ns(),
            link=request.link,
            pin=pin,
        )
        present = await self._kernel.state.get(NODES, request.node)
        if present is None:
            await self._kernel.state.create(NODES, request.node, value=record)
        else:
            await self._kernel.state.update(NODES, request.node, value=record, revision=present.revision)
