"""What dockerd refuses when a container is created, in its words and its order."""

from __future__ import annotations

from .config import check_config
from .host import Host
from .host_config import check_host_config
from .modes import check_modes
from .networks import check_networks

__all__ = ["Host", "check_config", "check_host_config", "check_modes", "check_networks"]
