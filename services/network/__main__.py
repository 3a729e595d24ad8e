"""Runs the network service: `python -m services.network`."""

from __future__ import annotations

from collections.abc import Callable

from shared import config
from shared.config import Settings
from shared.contracts.network import CONTRACT
from shared.service import Kernel, serve

from .service import NetworkService


async def build(kernel: Kernel) -> NetworkService:
    """The service on this kernel."""
    return NetworkService(kernel)


def run(settings: Settings, ready: Callable[[], None]) -> None:
    """Serves until SIGTERM."""
    serve(CONTRACT, build, settings, ready)


if __name__ == "__main__":
    run(config.load(), lambda: None)
