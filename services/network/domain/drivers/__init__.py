"""Network drivers, by the name that a network carries."""

from __future__ import annotations

from shared.contracts.network import NetworkSpec

from .base import Driver, HostLink, Wire
from .bridge import Bridge
from .macvlan import IPVLAN, MACVLAN, Stacked

_DRIVERS: dict[str, Driver] = {
    "bridge": Bridge(),
    "macvlan": MACVLAN,
    "ipvlan": IPVLAN,
    "host": Driver(),
    "null": Driver(),
}


def find(name: str) -> Driver | None:
    """The driver of that name; None where this engine has none."""
    return _DRIVERS.get(name)


def of(spec: NetworkSpec) -> Driver:
    """The driver of a stored network. A configuration (`--config-only`) has none of its own."""
    return _DRIVERS["null"] if spec.config_only else _DRIVERS.get(spec.driver, _DRIVERS["null"])


__all__ = ["Bridge", "Driver", "HostLink", "Stacked", "Wire", "find", "of"]
