"""Runs the migrator service: `python -m services.migrator`."""

from __future__ import annotations

from collections.abc import Callable

from shared import config
from shared.config import Settings
from shared.contracts.migrator import CONTRACT
from shared.service import Kernel, serve

from .service import MigratorService


async def build(kernel: Kernel) -> MigratorService:
    """The service on this kernel."""
    return MigratorService(kernel)


def run(settings: Settings, ready: Callable[[], None]) -> None:
    """Serves until SIGTERM."""
    serve(CONTRACT, build, settings, ready)


if __name__ == "__main__":
    run(config.load(), lambda: None)
