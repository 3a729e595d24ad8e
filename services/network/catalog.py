"""The networks of this node: their records, their address pools, their interfaces on the host."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

import msgspec

from shared import clock, ids
from shared.config import AddressPool, Settings
from shared.contracts.common import NameRecord
from shared.contracts.network import IPAM, NAMES, SPECS, Changed, CreateRequest, IPAMConfig, NetworkSpec
from shared.contracts.network_driver import CheckRequest
from shared.errors import (
    AlreadyExists,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    ShoalError,
    Unavailable,
)
from shared.state import State

from .adapters import sysctl
from .adapters.firewall import Firewall
from .adapters.links import HostLinks
from .domain import drivers, endpoints, ipam, lookup, naming, networks, options, pools, spanning, subnets
from .domain.addresses import Address, AddressSpace, Subnet
from .domain.drivers import Driver, HostLink, overlay
from .domain.ruleset import BridgeRules
from .domain.spanning import SCOPE

if TYPE_CHECKING:
    from .spanning import Spanning

log = logging.getLogger(__name__)


class Catalog:
    """One writer of this node's network records; what is here is what is stored."""

    def __init__(
        self,
        settings: Settings,
        node: str,
        state: State,
        links: HostLinks,
        firewall: Firewall,
        spanning: Spanning | None = None,
    ) -> None:
        self._settings = settings
        self._node = node
        self._state = state
        self._links = links
        self._firewall = firewall
        self.spanning = spanning
        """The networks across hosts; None where this host is in no cluster."""
        self._pools = pools.with_ipv6(settings.address_pools, node)
        self._specs: dict[str, NetworkSpec] = {}
        self._spaces: dict[str, AddressSpace] = {}
        self._changing, self._way_out = asyncio.Lock(), asyncio.Lock()
        self.changed: Callable[[Changed], None] = lambda changed: None
        """Called after each change of a network, or of who is on it."""

    @property
    def prefix(self) -> str:
        """Begin of the names of what the engine makes on the host."""
        return self._settings.interface_prefix

    async def open(self) -> None:
        """Takes over the stored networks, makes what always exists, and gives every network its place on the host."""
        view = await self._state.view(SPECS)
        for _, entry in view.items(SPECS):
            if entry.value.node == self._node:
                self._specs[entry.value.id] = entry.value
        view.stop()
        await self._predefine()
        for spec in self.local():
            if drivers.of(spec).interface(spec, self.prefix):
                self._spaces[spec.id] = subnets.address_space(spec)
                await self._restore_link(spec)

    async def _restore_link(self, spec: NetworkSpec) -> None:
        """One network whose interface cannot be had does not keep all others from working."""
        try:
            await asyncio.to_thread(self._ensure_link, spec)
        except (OSError, InvalidArgument) as error:
            log.error("network %s is without its interface, no container can start on it: %s", spec.name, error)

    async def _predefine(self) -> None:
        present = {spec.name: spec for spec in self._specs.values()}
        for name, driver in networks.PREDEFINED.items():
            if name not in present:
                await self._store(
                    NetworkSpec(id=ids.new_id(), name=name, created=clock.now_ns(), driver=driver, node=self._node)
                )
        stored = self.find("bridge")
        wanted = self._default_bridge(stored)
        if stored != wanted:
            await self._rewrite(wanted)

    def _default_bridge(self, spec: NetworkSpec) -> NetworkSpec:
        """The network `bridge` with the subnets that are set; of IPv4 else those it has, or free ones of the pools."""
        configs = [_of_setting(text) for text in (self._settings.bridge_subnet, self._settings.bridge_subnet6) if text]
        versions = {ipaddress.ip_network(config.subnet).version for config in configs}
        kept = [
            config
            for config in spec.ipam.config
            if ipaddress.ip_network(config.subnet).version == 4 and 4 not in versions
        ]
        wanted = msgspec.structs.replace(
            spec,
            options=networks.default_bridge_options(self._settings.bridge_name),
            enable_ipv6=6 in versions,
            ipam=IPAM(),
        )
        return self._with_pools(wanted, [*kept, *configs])

    def local(self) -> list[NetworkSpec]:
        """The networks of this host alone."""
        return list(self._specs.values())

    def all(self) -> list[NetworkSpec]:
        """These, and those across hosts."""
        return [*self._specs.values(), *(self.spanning.specs() if self.spanning else ())]

    def find(self, reference: str, scope: str = "") -> NetworkSpec:
        """By id, name or unique begin of the id. Raises `NotFound`, or `Unavailable` where the cluster may know it."""
        try:
            return lookup.find(reference, self.all(), scope)
        except NotFound:
            if self.spanning is not None and not self.spanning.records.complete:
                raise Unavailable(f"network {reference}: the cluster's networks are not known yet") from None
            raise

    async def look(self, reference: str, scope: str = "") -> NetworkSpec:
        """As `find`, but a network that another host has just made is found, too."""
        try:
            return self.find(reference, scope)
        except NotFound:
            if self.spanning is None:
                raise
            await self.spanning.records.catch_up()
            return self.find(reference, scope)

    async def way_out(self, specs: Iterable[NetworkSpec]) -> NetworkSpec | None:
        """The network by which what is on these networks reaches outside, where it needs one of its own."""
        if not endpoints.needs_way_out(specs):
            return None
        async with self._way_out:
            present = next((spec for spec in self.local() if spec.name == endpoints.WAY_OUT), None)
            if present is None:
                present, _ = await self.create(endpoints.way_out_request(ipv6=sysctl.has_ipv6()))
            return present

    def way_out_interface(self) -> str:
        """The host's interface of the network by which containers reach outside; empty: there is none."""
        present = next((spec for spec in self.local() if spec.name == endpoints.WAY_OUT), None)
        return drivers.of(present).interface(present, self.prefix) if present is not None else ""

    async def ready(self, specs: Iterable[NetworkSpec]) -> None:
        """Those of the networks that span hosts have their bridges here."""
        for spec in specs:
            if spec.vni and self.spanning is not None:
                await self.spanning.ensure(spec)

    def space(self, network_id: str) -> AddressSpace:
        """What endpoints of a network get addresses from; nothing for `host` and `none`."""
        across = self.spanning.space(network_id) if self.spanning is not None else None
        return across or self._spaces.get(network_id) or AddressSpace()

    def free(self, network_id: str, addresses: tuple[Address, ...]) -> None:
        """Addresses of an endpoint that is gone, or was not to be, may be given out again."""
        if self.spanning is not None and self.spanning.space(network_id) is not None:
            self.spanning.release(network_id, addresses)
        else:
            self.space(network_id).release(addresses)

    def interfaces(self) -> frozenset[str]:
        """Names of the host's interfaces that its own networks need."""
        return frozenset(drivers.of(spec).interface(spec, self.prefix) for spec in self.local()) - {""}

    def shared_interfaces(self) -> dict[str, frozenset[str]]:
        """Those that networks across hosts need while a container here is on them, by network."""
        return {spec.id: self.spanning.interfaces(spec) for spec in self.spanning.specs()} if self.spanning else {}

    def rules(self) -> list[BridgeRules]:
        """What the firewall must know of all networks that have a bridge here."""
        found = (drivers.of(spec).rules(spec, self.prefix) for spec in self.local())
        return [rules for rules in found if rules is not None] + (self.spanning.rules() if self.spanning else [])

    def host_gateways(self) -> list[str]:
        """What `host-gateway` stands for."""
        return [str(gateway.ip) for gateway in subnets.gateways(self.find("bridge"))]

    async def create(self, request: CreateRequest) -> tuple[NetworkSpec, int]:
        """Makes a network, and its interface; the revision of its record. All or nothing."""
        request = networks.with_driver(request, self._settings.default_network_driver, self.spanning is not None)
        across = await self._spans(request)
        request = networks.check_request(request, request.driver if across else "")
        async with self._changing:
            self._check_name(request.name)
            request = networks.configured(request, self._configuration(request.config_from))
            if across is None:
                return await self._make(self._planned(request))
        underlay = await asyncio.to_thread(self._links.mtu_at, across.host)
        return await across.create(lambda number: self._planned_across(across, request, number, underlay))

    def _check_name(self, name: str) -> None:
        if any(spec.name == name for spec in self.all()):
            raise AlreadyExists(f"network with name {name} already exists")

    async def _spans(self, request: CreateRequest) -> Spanning | None:
        """The networks across hosts, if this is to be one: of the driver `overlay`, or of one that only others have."""
        across = None if request.config_only else self.spanning
        if across is None or (request.driver != "overlay" and drivers.find(request.driver) is not None):
            return None
        await across.uplinks.check(request.driver, CheckRequest(options=request.options, internal=request.internal))
        return across

    def _planned_across(self, across: Spanning, request: CreateRequest, number: int, underlay: int) -> NetworkSpec:
        self._check_name(request.name)
        spec = msgspec.structs.replace(self._described(request), scope=SCOPE, node="", vni=number)
        mtu = overlay.mtu(spec.options, underlay or options.DEFAULT_MTU, across.host.version)
        if mtu < options.LEAST_MTU:
            raise InvalidArgument(f"invalid MTU number: {mtu} is left of it for containers")
        self._check_driver(spec)
        return self._with_pools(msgspec.structs.replace(spec, mtu=mtu), spec.asked, spanning.pools_of(across.cluster))

    def _configuration(self, name: str) -> NetworkSpec | None:
        return next((spec for spec in self.all() if spec.name == name and spec.config_only), None)

    def _described(self, request: CreateRequest) -> NetworkSpec:
        return NetworkSpec(
            id=ids.new_id(),
            name=request.name,
            created=clock.now_ns(),
            driver=request.driver,
            enable_ipv4=request.enable_ipv4,
            enable_ipv6=request.enable_ipv6,
            internal=request.internal,
            attachable=request.attachable,
            config_only=request.config_only,
            config_from=request.config_from,
            options=request.options,
            labels=request.labels,
            node=self._node,
            ipam=msgspec.structs.replace(request.ipam, driver=request.ipam.driver or "default"),
            asked=request.ipam.config,
        )

    def _planned(self, request: CreateRequest) -> NetworkSpec:
        spec = self._described(request)
        if spec.config_only:
            return spec
        spec = self._with_link(spec, self._check_driver(spec))
        return self._with_pools(spec, spec.asked)

    def _check_driver(self, spec: NetworkSpec) -> Driver:
        driver = drivers.of(spec)
        driver.check(spec.options, spec.internal)
        versions = tuple(ipaddress.ip_network(config.subnet, strict=False).version for config in spec.asked)
        driver.check_subnets(versions, ipv4=spec.enable_ipv4, ipv6=spec.enable_ipv6)
        return driver

    def _with_link(self, spec: NetworkSpec, driver: Driver) -> NetworkSpec:
        """The spec, with whether the host's interface that it needs is there already. Refuses what others have."""
        name = driver.interface(spec, self.prefix)
        others = [other for other in self.local() if drivers.of(other).interface(other, self.prefix) == name]
        for other in others:
            text = driver.conflict(spec, other) if other.driver == spec.driver else ""
            if text:
                raise PermissionDenied(text)
        present = self._links.names()
        driver.link(spec, self.prefix, present)
        kept = name in present and all(other.keeps_link for other in others)
        return msgspec.structs.replace(spec, keeps_link=kept)

    def _with_pools(
        self, spec: NetworkSpec, asked: Sequence[IPAMConfig], defaults: Sequence[AddressPool] = ()
    ) -> NetworkSpec:
        """The spec with subnets and gateways as given, or chosen."""
        taken: list[Subnet] = []
        for other in self.all() if spec.vni else self.local():
            if other.id != spec.id and not other.config_only:
                taken += subnets.subnets(other)
        across = self.spanning.specs() if self.spanning else ()
        configs = ipam.allocate(
            drivers.of(spec),
            spec.options,
            asked,
            internal=spec.internal,
            versions=[v for v, enabled in ((4, spec.enable_ipv4), (6, spec.enable_ipv6)) if enabled],
            defaults=defaults or self._pools,
            networks=taken,
            routes=[*self._links.routes(), *(subnet for other in across for subnet in subnets.subnets(other))],
        )
        return msgspec.structs.replace(spec, ipam=msgspec.structs.replace(spec.ipam, config=configs))

    async def _make(self, spec: NetworkSpec) -> tuple[NetworkSpec, int]:
        """The host's part first, the record last: an interface without a record is swept at the next start."""
        driver = drivers.of(spec)
        space = subnets.address_space(spec)
        try:
            await asyncio.to_thread(self._ensure_link, spec)
        except OSError as error:
            await asyncio.to_thread(self._drop_link, spec)
            name = driver.interface(spec, self.prefix)
            raise FailedPrecondition(f"interface {name} cannot be made: {error.strerror}") from error
        rules = driver.rules(spec, self.prefix)
        if rules is not None:
            await asyncio.to_thread(self._firewall.add_bridge, rules)
        try:
            revision = await self._store(spec)
        except ShoalError:  # a name that no record can have, for one
            await asyncio.to_thread(self._remove_from_host, spec)
            raise
        self._spaces[spec.id] = space
        return spec, revision

    def _ensure_link(self, spec: NetworkSpec) -> None:
        link = self._link(spec)
        if link is None:
            return
        self._links.ensure(link, own=not spec.keeps_link)
        if spec.driver == "bridge" and not spec.internal:
            sysctl.enable_forwarding(ipv6=spec.enable_ipv6)

    def _link(self, spec: NetworkSpec) -> HostLink | None:
        return drivers.of(spec).link(spec, self.prefix, self._links.names())

    async def _store(self, spec: NetworkSpec) -> int:
        """The name first: it is what makes a network the only one of that name."""
        key = naming.name_key(self._node, spec.name)
        try:
            await self._state.create(NAMES, key, value=NameRecord(id=spec.id, node=self._node))
        except AlreadyExists:
            await self._take_over_name(key, spec)
        revision = await self._state.create(SPECS, spec.id, value=spec)
        self._specs[spec.id] = spec
        self.changed(Changed(networks=(spec,)))
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
        """Takes a network away that nobody uses; the revision. The record goes first, then name and interface."""
        if spec.vni and self.spanning is not None:
            return await self.spanning.remove(spec)
        async with self._changing:
            if spec.id not in self._specs:  # somebody was quicker, and its name may be another's by now
                raise NotFound(f"network {spec.name} not found")
            if spec.config_only and any(other.config_from == spec.name for other in self.all()):
                text = f'configuration network "{spec.name}" is in use'
                raise PermissionDenied(f"error while removing network: {text}")
            revision = await self._state.delete(SPECS, spec.id)
            self._specs.pop(spec.id, None)
            self._spaces.pop(spec.id, None)
            self.changed(Changed(removed=(spec.id,)))
            await self._state.delete(NAMES, naming.name_key(self._node, spec.name))
            await asyncio.to_thread(self._remove_from_host, spec)
            return revision

    def _remove_from_host(self, spec: NetworkSpec) -> None:
        rules = drivers.of(spec).rules(spec, self.prefix)
        if rules is not None:
            self._firewall.remove_bridge(rules)
        self._drop_link(spec)

    def _drop_link(self, spec: NetworkSpec) -> None:
        """An interface goes with the last network that needs it, unless it was there before them all."""
        name = drivers.of(spec).interface(spec, self.prefix)
        if name and not spec.keeps_link and name not in self.interfaces():
            self._links.remove(name)


def _of_setting(text: str) -> IPAMConfig:
    """`172.17.0.1/16` of the settings as a pool with that gateway; the subnet's own address stands for any gateway."""
    address = ipaddress.ip_interface(text)
    gateway = "" if address.ip == address.network.network_address else str(address.ip)
    return IPAMConfig(subnet=str(address.network), gateway=gateway)
