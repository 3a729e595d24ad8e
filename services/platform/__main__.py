"""The platform as a process: `python -m services.platform`."""

from __future__ import annotations

from collections.abc import Callable

from shared import config
from shared.config import Settings
from shared.contracts.platform import CONTRACT
from shared.service import Kernel, serve

from .service import PlatformService


async def build(kernel: Kernel) -> PlatformService:
    """The service on its kernel."""
    return PlatformService(kernel)


def run(settings: Settings, ready: Callable[[], None]) -> None:
    """Serves until SIGTERM; `ready` is called once requests are answered."""
    serve(CONTRACT, build, settings, ready)


if __name__ == "__main__":
    run(config.load(), lambda: None)
