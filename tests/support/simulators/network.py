"""A model of the network service: the three networks every host has, and those that are made."""

from __future__ import annotations

from shared.clock import now_ns
from shared.contracts import network as contract
from shared.contracts.base import Empty, Message
from shared.contracts.common import PruneReport, Revision
from shared.contracts.container import EndpointSettings
from shared.errors import AlreadyExists, NotFound, PermissionDenied
from shared.ids import new_id
from shared.service import Kernel


class NetworkSimulator:
    """Serves the network service's contract."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self.calls: list[Message] = []
        self.networks: dict[str, contract.NetworkSpec] = {}
        for name, driver in (("bridge", "bridge"), ("host", "host"), ("none", "null")):
            self.networks[name] = contract.NetworkSpec(id=new_id(), name=name, created=now_ns(), driver=driver)

    def changed(self) -> None:
        """To be called when what it knows was changed in another way than by its endpoints."""
        self._kernel.bus.emit(contract.CHANGED, contract.Changed())

    def last(self) -> Message:
        """The request noted last."""
        return self.calls[-1]

    def _find(self, reference: str) -> contract.NetworkSpec:
        for spec in self.networks.values():
            if reference in (spec.name, spec.id) or (len(reference) > 4 and spec.id.startswith(reference)):
                return spec
        raise NotFound(f"network {reference} not found")

    async def create(self, request: contract.CreateRequest) -> contract.CreateReply:
        self.calls.append(request)
        if request.name in self.networks:
            raise AlreadyExists(f"network with name {request.name} already exists")
        spec = contract.NetworkSpec(
            id=new_id(), name=request.name, created=now_ns(), driver=request.driver, labels=request.labels,
            ipam=request.ipam,
        )  # fmt: skip
        self.networks[spec.name] = spec
        self.changed()
        return contract.CreateReply(id=spec.id)

    async def inspect(self, request: contract.InspectRequest) -> contract.Network:
        return contract.Network(spec=self._find(request.reference))

    async def list(self, request: contract.ListRequest) -> contract.ListReply:
        self.calls.append(request)
        return contract.ListReply(networks=tuple(contract.Network(spec=spec) for spec in self.networks.values()))

    async def remove(self, request: contract.InspectRequest) -> Revision:
        spec = self._find(request.reference)
        if spec.name in ("bridge", "host", "none"):
            raise PermissionDenied(f"{spec.name} is a pre-defined network and cannot be removed")
        del self.networks[spec.name]
        self.changed()
        return Revision()

    async def prune(self, request: contract.PruneRequest) -> PruneReport:
        self.calls.append(request)
        return PruneReport()

    async def connect(self, request: contract.ConnectRequest) -> contract.ConnectReply:
        self.calls.append(request)
        spec = self._find(request.network)
        return contract.ConnectReply(network_name=spec.name, settings=EndpointSettings(network_id=spec.id))

    async def link(self, request: contract.LinkRequest) -> Empty:
        self.calls.append(request)
        return Empty()

    async def publish(self, request: contract.PublishRequest) -> contract.Sandbox:
        self.calls.append(request)
        return contract.Sandbox(container_id=request.container_id, sandbox_id="s")

    async def disconnect(self, request: contract.DisconnectRequest) -> contract.DisconnectReply:
        self.calls.append(request)
        self._find(request.network)
        return contract.DisconnectReply()
