"""What validation has to know of the host."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from shared.contracts.platform import HostInfo


@dataclass(frozen=True)
class Host:
    """Facts of the host. `exists` answers whether a path of the host exists (asked for bind sources only)."""

    info: HostInfo
    exists: Callable[[str], bool]

    def has(self, feature: str) -> bool:
        """Whether the kernel offers a feature (a switch of `docker info`); unknown ones count as there."""
        return self.info.features.get(feature, True)
