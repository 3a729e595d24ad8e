"""Runs the builder: `python -m services.builder`."""

from __future__ import annotations

from collections.abc import Callable

from shared import config
from shared.config import Settings
from shared.contracts.builder import CONTRACT
from shared.service import Kernel, serve

from .service import BuilderService


async def build(kernel: Kernel) -> BuilderService:
    """The service on its connections, not yet started."""
    return BuilderService(kernel)


def run(settings: Settings, ready: Callable[[], None]) -> None:
    """Serves until SIGTERM; `ready` is called once it answers."""
    serve(CONTRACT, build, settings, ready)


if __name__ == "__main__":
    run(config.load(), lambda: None)
