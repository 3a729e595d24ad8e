"""What validation has to know of the host."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from shared.contracts.platform import HostInfo


@dataclass(frozen=True)
class Host:
    """Facts of the host. `exists` answers whether a path of the host exists (bind sources, devices, memory nodes)."""

    info: HostInfo
    exists: Callable[[str], bool]

    def has_memory_node(self, number: int) -> bool:
        """Whether the host has memory of that number (NUMA); every host has 0, also where the kernel tells of none."""
        return number == 0 or self.exists(f"/sys/devices/system/node/node{number}")

    def has(self, feature: str) -> bool:
        """Whether the kernel offers a feature (a switch of `docker info`); unknown ones count as there."""
        return self.info.features.get(feature, True)
