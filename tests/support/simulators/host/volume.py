"""A model of the volume service."""

from __future__ import annotations

from typing import NoReturn

from shared.clock import now_ns
from shared.contracts import volume as contract
from shared.contracts.base import Empty, Message
from shared.contracts.common import PruneReport
from shared.contracts.trees import SyncOutRequest, SyncReply
from shared.errors import Conflict, InvalidArgument, NotFound, NotImplementedYet
from shared.ids import new_id
from tests.support.simulators.host.behaviour import Behaviour


class VolumeSimulator(Behaviour):
    """Serves the volume contract. `mounts`: who uses which volume."""

    def __init__(self) -> None:
        super().__init__()
        self.volumes: dict[str, contract.VolumeSpec] = {}
        self.mounts: set[tuple[str, str]] = set()

    async def create(self, request: contract.CreateRequest) -> contract.VolumeSpec:
        await self.enter("create", request)
        if request.driver != "local":
            raise NotFound(f'error looking up volume plugin {request.driver}: plugin "{request.driver}" not found')
        name = request.name or new_id()
        if " " in name:
            raise InvalidArgument(f'create {name}: "{name}" includes invalid characters for a local volume name')
        made = contract.VolumeSpec(
            name=name,
            mountpoint=f"/volumes/{name}/_data",
            created=now_ns(),
            labels=request.labels,
            options=request.options,
            anonymous=request.anonymous or not request.name,
        )
        self.leave("create")
        return self.volumes.setdefault(name, made)

    async def remove(self, request: contract.RemoveRequest) -> Empty:
        await self.enter("remove", request)
        if request.name not in self.volumes:
            raise NotFound(f"get {request.name}: no such volume")
        if request.users or any(name == request.name for _, name in self.mounts):
            raise Conflict(f"remove {request.name}: volume is in use - [{', '.join(request.users)}]")
        del self.volumes[request.name]
        return Empty()

    async def mount(self, request: contract.MountRequest) -> contract.MountReply:
        await self.enter("mount", request)
        if request.name not in self.volumes:
            raise NotFound(f"get {request.name}: no such volume")
        self.mounts.add((request.user, request.name))
        return contract.MountReply(path=f"/volumes/{request.name}/_data", empty=True)

    async def unmount(self, request: contract.UnmountRequest) -> Empty:
        await self.enter("unmount", request)
        self.mounts = {
            (user, name) for user, name in self.mounts if user != request.user or request.name not in ("", name)
        }
        return Empty()

    async def inspect(self, request: contract.NameRequest) -> contract.VolumeSpec:
        if request.name not in self.volumes:
            raise NotFound(f"get {request.name}: no such volume")
        return self.volumes[request.name]

    async def list(self, request: contract.ListRequest) -> contract.ListReply:
        return contract.ListReply(volumes=tuple(self.volumes.values()))

    async def _refuse(self, request: Message) -> NoReturn:
        raise NotImplementedYet(f"the simulator does not {type(request).__name__}")

    async def prune(self, request: contract.PruneRequest) -> PruneReport:
        await self._refuse(request)

    async def usage(self, request: Empty) -> contract.UsageReply:
        return contract.UsageReply(sizes=dict.fromkeys(self.volumes, 10))

    async def sync_out(self, request: SyncOutRequest) -> SyncReply:
        await self.enter("sync_out", request)
        return SyncReply(bytes=10, changed=1)
