"""A model of the network service: sandboxes, addresses, published ports."""

from __future__ import annotations

from typing import NoReturn

import msgspec

from shared.contracts import network as contract
from shared.contracts.base import Empty, Message
from shared.contracts.common import PruneReport, Revision
from shared.contracts.container import EndpointSettings, PortBinding
from shared.errors import Conflict, NotFound, NotImplementedYet
from tests.support.simulators.host.behaviour import Behaviour


class NetworkSimulator(Behaviour):
    """Serves the network contract, as far as containers need it. `files` are the ids whose hosts file is kept."""

    def __init__(self) -> None:
        super().__init__()
        self.networks = {"bridge", "none", "host", "web"}
        self.apart: set[str] = set()
        """Containers whose frames nobody gets: detached, or in standby."""
        self.stacks: dict[str, contract.Sandbox] = {}
        self.files: set[str] = set()
        self.ports: dict[str, str] = {}
        self.names: dict[str, str] = {}
        self.moved: dict[str, tuple[PortBinding, ...] | None] | None = None
        """What is published after a container comes to a network or leaves it."""

    async def sandbox(self, request: contract.SandboxRequest) -> contract.Sandbox:
        await self.enter("sandbox", request)
        present = self.stacks.get(request.container_id)
        if present is not None:
            return present
        for name in request.endpoints:
            if name not in self.networks:
                raise NotFound(f"network {name} not found")
        ports = {
            port: tuple(self._bind(binding, request) for binding in wanted) for port, wanted in request.publish.items()
        }
        number = len(self.stacks) + 2
        sandbox = contract.Sandbox(
            container_id=request.container_id,
            sandbox_id=f"sandbox{number}",
            path="" if request.mode == "host" else f"/run/netns/{request.container_id[:12]}",
            endpoints={name: _address(settings, number) for name, settings in request.endpoints.items()},
            ports=dict(ports),
            publish=request.publish,
            files={
                f"/etc/{name}": f"/files/{request.container_id}/{name}" for name in ("hosts", "resolv.conf", "hostname")
            },
        )
        self.stacks[request.container_id] = sandbox
        if request.standby:
            self.apart.add(request.container_id)
        self.files.add(request.container_id)
        self.leave("sandbox")
        return sandbox

    def _bind(self, binding: PortBinding, request: contract.SandboxRequest | contract.PublishRequest) -> PortBinding:
        port = binding.host_port or "49153"
        if self.ports.setdefault(port, request.container_id) != request.container_id:
            raise Conflict(f"Bind for 0.0.0.0:{port} failed: port is already allocated")
        return PortBinding(host_ip="0.0.0.0", host_port=port)

    async def release(self, request: contract.ReleaseRequest) -> Empty:
        await self.enter("release", request)
        self.stacks.pop(request.container_id, None)
        self.apart.discard(request.container_id)
        self.ports = {port: holder for port, holder in self.ports.items() if holder != request.container_id}
        if not request.keep_files:
            self.files.discard(request.container_id)
        return Empty()

    async def detach(self, request: contract.StackRequest) -> Empty:
        await self.enter("detach", request)
        self._stack(request.container_id)
        self.apart.add(request.container_id)
        return Empty()

    async def attach(self, request: contract.StackRequest) -> contract.Sandbox:
        await self.enter("attach", request)
        self.apart.discard(request.container_id)
        return self._stack(request.container_id)

    def _stack(self, container_id: str) -> contract.Sandbox:
        if container_id not in self.stacks:
            raise NotFound(f"container {container_id} has no network sandbox")
        return self.stacks[container_id]

    async def sandboxes(self, request: Empty) -> contract.SandboxListReply:
        await self.enter("sandboxes", request)
        return contract.SandboxListReply(sandboxes=tuple(self.stacks.values()))

    async def link(self, request: contract.LinkRequest) -> Empty:
        await self.enter("link", request)
        return Empty()

    async def renamed(self, request: contract.RenamedRequest) -> Empty:
        await self.enter("renamed", request)
        self.names[request.container_id] = request.name
        return Empty()

    async def _refuse(self, request: Message) -> NoReturn:
        raise NotImplementedYet(f"the simulator does not {type(request).__name__}")

    async def create(self, request: contract.CreateRequest) -> contract.CreateReply:
        await self._refuse(request)

    async def inspect(self, request: contract.InspectRequest) -> contract.Network:
        await self.enter("inspect", request)
        if request.reference not in self.networks:
            raise NotFound(f"network {request.reference} not found")
        return contract.Network(spec=contract.NetworkSpec(id="n" * 64, name=request.reference, created=1))

    async def list(self, request: contract.ListRequest) -> contract.ListReply:
        await self._refuse(request)

    async def remove(self, request: contract.InspectRequest) -> Revision:
        await self._refuse(request)

    async def prune(self, request: contract.PruneRequest) -> PruneReport:
        await self._refuse(request)

    async def connect(self, request: contract.ConnectRequest) -> contract.ConnectReply:
        await self.enter("connect", request)
        settings = _address(request.settings, 99) if request.running else request.settings
        return contract.ConnectReply(network_name=request.network, settings=settings, ports=self.moved)

    async def publish(self, request: contract.PublishRequest) -> contract.Sandbox:
        await self.enter("publish", request)
        stack = self.stacks.get(request.container_id)
        if stack is None:
            raise NotFound(f"container {request.container_id} has no network sandbox")
        self.ports = {port: holder for port, holder in self.ports.items() if holder != request.container_id}
        ports = {
            port: tuple(self._bind(binding, request) for binding in wanted) for port, wanted in request.publish.items()
        }
        self.stacks[request.container_id] = msgspec.structs.replace(stack, ports=dict(ports), publish=request.publish)
        self.leave("publish")
        return self.stacks[request.container_id]

    async def disconnect(self, request: contract.DisconnectRequest) -> contract.DisconnectReply:
        await self.enter("disconnect", request)
        return contract.DisconnectReply(ports=self.moved)


def _address(settings: EndpointSettings, number: int) -> EndpointSettings:
    return msgspec.structs.replace(
        settings, network_id="n" * 64, endpoint_id=f"e{number}", ip_address=f"172.17.0.{number}", ip_prefix_len=16
    )
