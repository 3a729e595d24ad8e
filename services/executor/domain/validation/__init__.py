"""What dockerd refuses when a container is created, in its words and its order."""

from __future__ import annotations

from .config import check_config
from .host import Host
from .host_config import check_host_config, check_policy
from .modes import check_modes
from .networks import check_networks
from .resources import check_resources

__all__ = [
    "Host",
    "check_config",
    "check_host_config",
    "check_modes",
    "check_networks",
    "check_policy",
    "check_resources",
]
