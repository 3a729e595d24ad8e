"""The bridge driver: a bridge on the host for each network, the host between it and all others."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from typing import ClassVar

from shared.contracts.network import NetworkSpec
from shared.errors import InvalidArgument, PermissionDenied

from .. import naming, options, subnets
from ..options import Options
from ..ruleset import BridgeRules, Family
from .base import Driver, HostLink, Wire

LINK_LOCAL = ipaddress.IPv6Network("fe80::/64")


class Bridge(Driver):
    """libnetwork's `bridge`."""

    name: ClassVar[str] = "bridge"
    publishes: ClassVar[bool] = True

    def check(self, opts: Options, internal: bool) -> None:
        for key, default in ((options.ICC, True), (options.MASQUERADE, True), (options.INHIBIT_IPV4, False)):
            options.flag(opts, key, default)
        options.mtu(opts)
        for key in (options.HOST_BINDING, *options.HOST_ADDRESS.values()):
            options.address(opts, key)
        options.interface(opts, options.BRIDGE_NAME)
        options.interfaces(opts, options.TRUSTED)
        if "isolated" in (options.gateway_mode(opts, 4), options.gateway_mode(opts, 6)) and not internal:
            raise InvalidArgument("gateway mode 'isolated' can only be used for an internal network")
        if len(options.interface(opts, options.IFACE_PREFIX)) > 12:
            raise InvalidArgument(f"invalid value for {options.IFACE_PREFIX}: it has more than 12 characters")

    def check_subnets(self, versions: tuple[int, ...], *, ipv4: bool, ipv6: bool) -> None:
        if not (ipv4 or ipv6):
            raise InvalidArgument("IPv4 or IPv6 must be enabled")
        if versions.count(4) > 1 or versions.count(6) > 1:
            raise PermissionDenied("bridge driver doesn't support multiple subnets")

    def has_gateway(self, opts: Options, internal: bool, version: int) -> bool:
        inhibited = version == 4 and internal and options.flag(opts, options.INHIBIT_IPV4, False)
        return options.gateway_mode(opts, version) != "isolated" and not inhibited

    def interface(self, spec: NetworkSpec, prefix: str) -> str:
        return spec.options.get(options.BRIDGE_NAME, "") or naming.bridge_interface(prefix, spec.id)

    def link(self, spec: NetworkSpec, prefix: str, present: Collection[str]) -> HostLink:
        bare = {4} if options.flag(spec.options, options.INHIBIT_IPV4, False) else set()
        return HostLink(
            name=self.interface(spec, prefix),
            addresses=tuple(each for each in subnets.gateways(spec) if each.version not in bare),
            ipv6=spec.enable_ipv6 and options.gateway_mode(spec.options, 6) != "isolated",
            mtu=options.mtu(spec.options),
            mark=naming.mark(prefix, spec.id),
        )

    def conflict(self, spec: NetworkSpec, other: NetworkSpec) -> str:
        name = spec.options.get(options.BRIDGE_NAME, "")
        return (
            f"cannot create network {spec.id} ({name}): conflicts with network {other.id} ({name}): "
            "networks have same bridge name"
        )

    def wire(self, spec: NetworkSpec, prefix: str) -> Wire:
        icc = options.flag(spec.options, options.ICC, True)
        return Wire(master=self.interface(spec, prefix), isolated=not icc)

    def rules(self, spec: NetworkSpec, prefix: str) -> BridgeRules:
        return BridgeRules(
            self.interface(spec, prefix),
            families=tuple(
                Family(
                    subnet,
                    mode=options.gateway_mode(spec.options, subnet.version),
                    source=options.address(spec.options, options.HOST_ADDRESS[subnet.version]),
                )
                for subnet in subnets.subnets(spec)
            ),
            masquerade=options.flag(spec.options, options.MASQUERADE, True),
            icc=options.flag(spec.options, options.ICC, True),
            internal=spec.internal,
            trusted=options.interfaces(spec.options, options.TRUSTED),
        )


def check_ipv6_subnet(subnet: ipaddress.IPv6Network) -> None:
    """Refuses what an interface's addresses cannot be of."""
    if subnet.is_multicast:
        raise InvalidArgument(f"multicast subnet '{subnet}' is not allowed")
    if subnet != LINK_LOCAL and subnet.overlaps(LINK_LOCAL):
        raise InvalidArgument(f"'{subnet}' clashes with the Link-Local prefix 'fe80::/64'")
