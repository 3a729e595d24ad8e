"""The networks of this node: their records, their address pools, their bridges."""

from __future__ import annotations

import asyncio
import ipaddress
import logging

import msgspec

from shared import clock, ids
from shared.config import Settings
from shared.contracts.common import NameRecord
from shared.contracts.network import IPAM, NAMES, SPECS, CreateRequest, IPAMConfig, NetworkSpec
from shared.errors import AlreadyExists, Conflict, FailedPrecondition
from shared.state import State

from .adapters.firewall import Firewall
from .adapters.links import HostLinks, enable_forwarding
from .domain import lookup, naming, networks, pools
from .domain.addresses import Pool

log = logging.getLogger(__name__)


class Catalog:
    """One writer of this node's network records; what is here is what is stored."""

    def __init__(self, settings: Settings, node: str, state: State, links: HostLinks, firewall: Firewall) -> None:
        self._settings = settings
        self._node = node
        self._state = state
        self._links = links
        self._firewall = firewall
        self._specs: dict[str, NetworkSpec] = {}
        self._pools: dict[str, Pool] = {}
        self._changing = asyncio.Lock()

    async def open(self) -> None:
        """Takes over the stored networks, makes what always exists, and gives every bridge its place on the host."""
        view = await self._state.view(SPECS)
        for _, entry in view.items(SPECS):
            if entry.value.node == self._node:
                self._specs[entry.value.id] = entry.value
        view.stop()
        await self._predefine()
        for spec in self.all():
            if spec.driver == "bridge":
                self._pools[spec.id] = _pool(spec)
                await self._restore_bridge(spec)

    async def _restore_bridge(self, spec: NetworkSpec) -> None:
        """One network whose bridge cannot be had does not keep all others from working."""
        try:
            await asyncio.to_thread(self._ensure_bridge, spec)
        except OSError as error:
            log.error("network %s has no bridge, no container can start on it: %s", spec.name, error)

    async def _predefine(self) -> None:
        present = {spec.name: spec for spec in self._specs.values()}
        for name, driver in networks.PREDEFINED.items():
            if name not in present:
                await self._store(
                    NetworkSpec(id=ids.new_id(), name=name, created=clock.now_ns(), driver=driver, node=self._node)
                )
        default = self.find("bridge")
        interface = self._settings.bridge_subnet
        if not default.ipam.config or (
            interface and ipaddress.IPv4Interface(interface).network != networks.subnet(default)
        ):
            await self._rewrite(self._default_bridge(default))

    def _default_bridge(self, spec: NetworkSpec) -> NetworkSpec:
        """The network `bridge` with the subnet that is set, or the first free one of the pools."""
        config = IPAMConfig()
        if self._settings.bridge_subnet:
            address = ipaddress.IPv4Interface(self._settings.bridge_subnet)
            gateway = "" if address.ip == address.network.network_address else str(address.ip)
            config = IPAMConfig(subnet=str(address.network), gateway=gateway)
        options = networks.default_bridge_options(self._settings.bridge_name)
        return self._with_pool(msgspec.structs.replace(spec, options=options), config, IPAM())

    def all(self) -> list[NetworkSpec]:
        return list(self._specs.values())

    def find(self, reference: str, scope: str = "") -> NetworkSpec:
        """By id, name or unique begin of the id. Raises `NotFound`."""
        return lookup.find(reference, self._specs.values(), scope)

    def pool(self, network_id: str) -> Pool:
        return self._pools[network_id]

    def interface(self, spec: NetworkSpec) -> str:
        """Name of the network's bridge on the host."""
        named = spec.options.get(networks.NAME_LABEL, "")
        return named or naming.bridge_interface(self._settings.interface_prefix, spec.id)

    def bridges(self) -> dict[str, NetworkSpec]:
        """All bridge networks by their interface."""
        return {self.interface(spec): spec for spec in self.all() if spec.driver == "bridge"}

    def gateway_of_default(self) -> str:
        """What `host-gateway` stands for."""
        return self.find("bridge").ipam.config[0].gateway

    async def create(self, request: CreateRequest) -> tuple[NetworkSpec, int]:
        """Makes a network, and its bridge; the revision of its record. All or nothing."""
        request = networks.check_request(request)
        async with self._changing:
            if any(spec.name == request.name for spec in self._specs.values()):
                raise AlreadyExists(f"network with name {request.name} already exists")
            spec = self._planned(request)
            if self.interface(spec) in self._links.names():
                raise Conflict(f"bridge name {self.interface(spec)} is already in use on this host")
            return spec, await self._make(spec)

    def _planned(self, request: CreateRequest) -> NetworkSpec:
        spec = NetworkSpec(
            id=ids.new_id(),
            name=request.name,
            created=clock.now_ns(),
            driver=request.driver,
            internal=request.internal,
            attachable=request.attachable,
            options=request.options,
            labels=request.labels,
            node=self._node,
        )
        return self._with_pool(spec, request.ipam.config[0] if request.ipam.config else IPAMConfig(), request.ipam)

    def _with_pool(self, spec: NetworkSpec, config: IPAMConfig, ipam: IPAM) -> NetworkSpec:
        """The spec with subnet and gateway as given, or chosen."""
        others = [
            networks.subnet(other)
            for other in self.all()
            if other.driver == "bridge" and other.ipam.config and other.id != spec.id
        ]
        if config.subnet:
            pools.check_free(ipaddress.IPv4Network(config.subnet), others)
        else:
            subnet = pools.choose(self._settings.address_pools, [*others, *self._links.routes()])
            config = msgspec.structs.replace(config, subnet=str(subnet))
        if not config.gateway:
            gateway = _pool_of(config).request()
            config = msgspec.structs.replace(config, gateway=str(gateway))
        return msgspec.structs.replace(spec, ipam=msgspec.structs.replace(ipam, driver="default", config=(config,)))

    async def _make(self, spec: NetworkSpec) -> int:
        """The host's part first, the record last: a bridge without a record is swept at the next start."""
        try:
            await asyncio.to_thread(self._ensure_bridge, spec)
            await asyncio.to_thread(self._firewall.add_bridge, networks.rules(spec, self.interface(spec)))
            revision = await self._store(spec)
        except OSError as error:
            await asyncio.to_thread(self._links.remove, self.interface(spec))
            raise FailedPrecondition(f"bridge {self.interface(spec)} cannot be made: {error.strerror}") from error
        self._pools[spec.id] = _pool(spec)
        return revision

    def _ensure_bridge(self, spec: NetworkSpec) -> None:
        address = ipaddress.IPv4Interface(f"{networks.gateway(spec)}/{networks.subnet(spec).prefixlen}")
        self._links.ensure_bridge(self.interface(spec), address, networks.mtu(spec.options))
        if not spec.internal:
            enable_forwarding()

    async def _store(self, spec: NetworkSpec) -> int:
        """The name first: it is what makes a network the only one of that name."""
        key = naming.name_key(self._node, spec.name)
        try:
            await self._state.create(NAMES, key, value=NameRecord(id=spec.id, node=self._node))
        except AlreadyExists:
            await self._take_over_name(key, spec)
        revision = await self._state.create(SPECS, spec.id, value=spec)
        self._specs[spec.id] = spec
        return revision

    async def _take_over_name(self, key: str, spec: NetworkSpec) -> None:
        """A name whose network was never stored was left by a crash."""
        held = await self._state.get(NAMES, key)
        if held is not None and held.value.id in self._specs:
            raise AlreadyExists(f"network with name {spec.name} already exists")
        await self._state.update(
            NAMES, key, value=NameRecord(id=spec.id, node=self._node), revision=held.revision if held else 0
        )

    async def _rewrite(self, spec: NetworkSpec) -> None:
        entry = await self._state.get(SPECS, spec.id)
        await self._state.update(SPECS, spec.id, value=spec, revision=entry.revision if entry else 0)
        self._specs[spec.id] = spec

    async def remove(self, spec: NetworkSpec) -> int:
        """Takes a network away that nobody uses; the revision. The record goes first, then name and bridge."""
        async with self._changing:
            revision = await self._state.delete(SPECS, spec.id)
            self._specs.pop(spec.id, None)
            self._pools.pop(spec.id, None)
            await self._state.delete(NAMES, naming.name_key(self._node, spec.name))
            await asyncio.to_thread(self._remove_bridge, spec)
            return revision

    def _remove_bridge(self, spec: NetworkSpec) -> None:
        self._firewall.remove_bridge(networks.rules(spec, self.interface(spec)))
        self._links.remove(self.interface(spec))


def _pool_of(config: IPAMConfig) -> Pool:
    subnet = ipaddress.IPv4Network(config.subnet)
    pool = Pool(subnet, ipaddress.IPv4Network(config.ip_range) if config.ip_range else None)
    pool.reserve(ipaddress.IPv4Address(address) for address in config.aux_addresses.values())
    return pool


def _pool(spec: NetworkSpec) -> Pool:
    pool = _pool_of(spec.ipam.config[0])
    pool.reserve([networks.gateway(spec)])
    return pool
