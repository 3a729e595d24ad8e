"""Runs the volume service: `python -m services.volume`."""

from __future__ import annotations

from collections.abc import Callable

from shared import config
from shared.config import Settings
from shared.contracts.volume import CONTRACT
from shared.service import Kernel, serve

from .service import VolumeService


async def build(kernel: Kernel) -> VolumeService:
    """The service on this kernel."""
    return VolumeService(kernel)


def run(settings: Settings, ready: Callable[[], None]) -> None:
    """Serves until SIGTERM."""
    serve(CONTRACT, build, settings, ready)


if __name__ == "__main__":
    run(config.load(), lambda: None)
