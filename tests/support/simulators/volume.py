"""A model of the volume service."""

from __future__ import annotations

from shared.clock import now_ns
from shared.contracts import volume as contract
from shared.contracts.base import Empty, Message
from shared.contracts.common import PruneReport
from shared.errors import Conflict, InvalidArgument, NotFound
from shared.ids import new_id
from shared.service import Kernel


class VolumeSimulator:
    """Serves the volume service's contract."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self.calls: list[Message] = []
        self.volumes: dict[str, contract.VolumeSpec] = {}

    def changed(self) -> None:
        """To be called when what it knows was changed in another way than by its endpoints."""
        self._kernel.bus.emit(contract.CHANGED, contract.Changed())

    def last(self) -> Message:
        """The request noted last."""
        return self.calls[-1]

    def _find(self, name: str) -> contract.VolumeSpec:
        if name not in self.volumes:
            raise NotFound(f"get {name}: no such volume")
        return self.volumes[name]

    async def create(self, request: contract.CreateRequest) -> contract.VolumeSpec:
        self.calls.append(request)
        name = request.name or new_id()
        if " " in name:
            raise InvalidArgument(f'create {name}: "{name}" includes invalid characters for a local volume name')
        made = contract.VolumeSpec(
            name=name, mountpoint=f"/v/{name}/_data", created=now_ns(), labels=request.labels,
            options=request.options, anonymous=request.anonymous or not request.name,
        )  # fmt: skip
        self.changed()
        return self.volumes.setdefault(name, made)

    async def inspect(self, request: contract.NameRequest) -> contract.VolumeSpec:
        return self._find(request.name)

    async def list(self, request: contract.ListRequest) -> contract.ListReply:
        self.calls.append(request)
        return contract.ListReply(volumes=tuple(self.volumes.values()))

    async def remove(self, request: contract.RemoveRequest) -> Empty:
        self.calls.append(request)
        self._find(request.name)
        if request.users:
            raise Conflict(f"remove {request.name}: volume is in use - [{', '.join(request.users)}]")
        del self.volumes[request.name]
        self.changed()
        return Empty()

    async def prune(self, request: contract.PruneRequest) -> PruneReport:
        self.calls.append(request)
        return PruneReport()

    async def usage(self, request: Empty) -> contract.UsageReply:
        return contract.UsageReply(sizes=dict.fromkeys(self.volumes, 7))
