"""Runs the scheduler service: `python -m services.scheduler`."""

from __future__ import annotations

from collections.abc import Callable

from shared import config
from shared.config import Settings
from shared.contracts.scheduler import CONTRACT
from shared.service import Kernel, serve

from .service import SchedulerService


async def build(kernel: Kernel) -> SchedulerService:
    """The service on this kernel."""
    return SchedulerService(kernel)


def run(settings: Settings, ready: Callable[[], None]) -> None:
    """Serves until SIGTERM."""
    serve(CONTRACT, build, settings, ready)


if __name__ == "__main__":
    run(config.load(), lambda: None)
