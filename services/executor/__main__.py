"""The executor alone: `python -m services.executor`."""

from __future__ import annotations

from collections.abc import Callable

from shared import config
from shared.config import Settings
from shared.contracts.executor import CONTRACT
from shared.service import serve

from .service import build


def run(settings: Settings, ready: Callable[[], None]) -> None:
    """Serves until SIGTERM. `ready` is called once requests are answered."""
    serve(CONTRACT, build, settings, ready)


if __name__ == "__main__":
    run(config.load(), lambda: None)
