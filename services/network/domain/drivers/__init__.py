"""Network drivers, by the name that a network carries."""

from __future__ import annotations

from shared.contracts.network import NetworkSpec

from .base import Driver, HostLink, Wire
from .bridge import Bridge
from .macvlan import IPVLAN, MACVLAN, Stacked
from .overlay import Overlay

_DRIVERS: dict[str, Driver] = {
    "bridge": Bridge(),
    "macvlan": MACVLAN,
    "ipvlan": IPVLAN,
    "host": Driver(),
    "null": Driver(),
}
_OVERLAY = Overlay()


def find(name: str) -> Driver | None:
    """The driver of that name; None where this engine has none."""
    return _DRIVERS.get(name)


def of(spec: NetworkSpec) -> Driver:
    """The driver of a stored network. A configuration (`--config-only`) has none of its own.

    On one host all networks across hosts are alike, whoever brings their frames to other hosts.
    """
    if spec.vni:
        return _OVERLAY
    return _DRIVERS["null"] if spec.config_only else _DRIVERS.get(spec.driver, _DRIVERS["null"])


__all__ = ["Bridge", "Driver", "HostLink", "Overlay", "Stacked", "Wire", "find", "of"]
