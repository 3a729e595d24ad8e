"""Networks across hosts: on each host a bridge without addresses, which the network's own driver joins to the others.

Nothing passes between the bridge and the host: containers reach outside by another interface (`WAY_OUT`), as with
libnetwork's overlay and its `docker_gwbridge`.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import ClassVar

from shared.contracts.network import NetworkSpec
from shared.errors import InvalidArgument

from .. import naming, options
from ..options import Options
from ..ruleset import BridgeRules
from .base import Driver, HostLink, Wire

OVERHEAD = {4: 50, 6: 70}
"""Bytes of the Ethernet, VXLAN, UDP and IP headers around a packet, by the IP version between hosts (RFC 7348)."""

ENCRYPTION = 100
"""Bytes that the tunnel of encrypted networks puts around such a packet, so that it is one datagram still."""


class Overlay(Driver):
    """libnetwork's `overlay`, and whatever takes its place."""

    name: ClassVar[str] = "overlay"

    def check(self, opts: Options, internal: bool) -> None:
        options.mtu(opts)

    def internal(self, spec: NetworkSpec) -> bool:
        """By this interface nobody outside is reached."""
        return True

    def check_subnets(self, versions: tuple[int, ...], *, ipv4: bool, ipv6: bool) -> None:
        if not (ipv4 or ipv6):
            raise InvalidArgument("IPv4 or IPv6 must be enabled")

    def has_gateway(self, opts: Options, internal: bool, version: int) -> bool:
        """Shown and never given out, as in libnetwork; no route leads there."""
        return True

    def interface(self, spec: NetworkSpec, prefix: str) -> str:
        return naming.bridge_interface(prefix, spec.id)

    def link(self, spec: NetworkSpec, prefix: str, present: Collection[str]) -> HostLink:
        return HostLink(self.interface(spec, prefix), mtu=spec.mtu, mark=naming.mark(prefix, spec.id))

    def wire(self, spec: NetworkSpec, prefix: str) -> Wire:
        return Wire(master=self.interface(spec, prefix))

    def mtu(self, spec: NetworkSpec) -> int:
        return spec.mtu

    def rules(self, spec: NetworkSpec, prefix: str) -> BridgeRules:
        return BridgeRules(self.interface(spec, prefix), internal=True)


def mtu(opts: Options, underlay: int, version: int) -> int:
    """That of containers' interfaces; `underlay`: that of the path between hosts, unless the user names it."""
    secret = ENCRYPTION if options.ENCRYPTED in opts else 0
    return (options.mtu(opts) if options.MTU in opts else underlay) - OVERHEAD[version] - secret
