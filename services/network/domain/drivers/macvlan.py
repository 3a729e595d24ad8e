"""macvlan and ipvlan: containers' interfaces on top of one of the host's, side by side with the host in its network."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import ClassVar

from shared.contracts.network import NetworkSpec
from shared.errors import InvalidArgument

from .. import naming, options
from ..options import PARENT, Options
from .base import Driver, HostLink, Wire

MOST_VLANS = 4094


@dataclass(frozen=True)
class Stacked(Driver):
    """libnetwork's `macvlan` and `ipvlan`, which differ in their modes only. The first of each list is the default."""

    kind: str
    modes: tuple[str, ...]
    flags: tuple[str, ...] = ()
    publishes: ClassVar[bool] = False

    def check(self, opts: Options, internal: bool) -> None:
        if opts.get(PARENT) == "lo":
            raise InvalidArgument(f"loopback interface is not a valid {self.kind} parent link")
        options.interface(opts, PARENT)
        self._choice(opts, "mode", self.modes)
        self._choice(opts, "flag", self.flags)
        options.mtu(opts)

    def _choice(self, opts: Options, what: str, values: tuple[str, ...]) -> str:
        given = opts.get(f"{self.kind}_{what}", "")
        if values and given not in ("", *values):
            standard = f"'{values[0]}' mode is" if what == "mode" else f"'{values[0]}' is"
            raise InvalidArgument(
                f"requested {self.kind} {what} '{given}' is not valid, {standard} the {self.kind} driver default"
            )
        return given or (values[0] if values else "")

    def internal(self, spec: NetworkSpec) -> bool:
        """Without a parent there is nobody outside."""
        return spec.internal or not spec.options.get(PARENT)

    def has_gateway(self, opts: Options, internal: bool, version: int) -> bool:
        return not internal and bool(opts.get(PARENT)) and not self._routed(opts)

    def _routed(self, opts: Options) -> bool:
        return self._choice(opts, "mode", self.modes) in ("l3", "l3s")

    def routes_by_link(self, spec: NetworkSpec) -> bool:
        return self._routed(spec.options)

    def interface(self, spec: NetworkSpec, prefix: str) -> str:
        """The parent of all endpoints; one of the network's own where none was named."""
        return spec.options.get(PARENT, "") or naming.bridge_interface(prefix, spec.id)

    def link(self, spec: NetworkSpec, prefix: str, present: Collection[str]) -> HostLink:
        name, mark = self.interface(spec, prefix), naming.mark(prefix, spec.id)
        if not spec.options.get(PARENT):
            return HostLink(name, kind="dummy", mark=mark)
        if name in present:
            return HostLink(name, kind="")
        under, vlan = parse_vlan(name)
        if under not in present:
            raise InvalidArgument(f"-o parent interface was not found on the host: {under}")
        return HostLink(name, kind="vlan", under=under, vlan=vlan, mark=mark)

    def wire(self, spec: NetworkSpec, prefix: str) -> Wire:
        return Wire(
            kind=self.kind,
            master=self.interface(spec, prefix),
            mode=self._choice(spec.options, "mode", self.modes),
            flag=self._choice(spec.options, "flag", self.flags),
        )

    def conflict(self, spec: NetworkSpec, other: NetworkSpec) -> str:
        """Why both cannot be on the same parent; empty when they can."""
        if self.kind == "ipvlan":
            return f"network di-{other.id[:12]} is already using parent interface {spec.options[PARENT]}"
        if self._choice(spec.options, "mode", self.modes) == "passthru":
            return (
                f"cannot use mode passthru, macvlan network {other.id} is already using parent interface "
                f"{spec.options[PARENT]}"
            )
        if self._choice(other.options, "mode", self.modes) == "passthru":
            return (
                f"macvlan network {other.id} is already using parent interface {spec.options[PARENT]} in mode passthru"
            )
        return ""


def parse_vlan(name: str) -> tuple[str, int]:
    """`eth0.10` as interface and vlan tag. Raises `InvalidArgument`."""
    parts = name.split(".")
    if len(parts) == 1:
        raise InvalidArgument(f"invalid subinterface vlan name {name}, example formatting is eth0.10")
    if len(parts) != 2:
        text = "required interface name format is: name.vlan_id, ex. eth0.10 for vlan 10, instead received"
        raise InvalidArgument(f"{text} {name}")
    if not (parts[1].isascii() and parts[1].isdigit()):
        raise InvalidArgument(f"unable to parse a valid vlan id from: {parts[1]} (ex. eth0.10 for vlan 10)")
    vlan = int(parts[1])
    if not 1 <= vlan <= MOST_VLANS:
        raise InvalidArgument(f"vlan id must be between 1-4094, received: {vlan}")
    return parts[0], vlan


MACVLAN = Stacked("macvlan", ("bridge", "private", "vepa", "passthru"))
IPVLAN = Stacked("ipvlan", ("l2", "l3", "l3s"), ("bridge", "private", "vepa"))
