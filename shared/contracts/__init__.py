"""The contracts of all engine services, by name."""

from __future__ import annotations

from shared.contracts import (
    builder,
    executor,
    gateway,
    image_store,
    migration_driver,
    migrator,
    network,
    network_driver,
    platform,
    scheduler,
    volume,
)
from shared.contracts.base import Contract

CONTRACTS: dict[str, Contract] = {
    module.CONTRACT.name: module.CONTRACT
    for module in (
        image_store,
        platform,
        migration_driver,
        network_driver,
        network,
        volume,
        executor,
        scheduler,
        builder,
        migrator,
        gateway,
    )
}
"""In starting order: who is called comes before who calls."""
