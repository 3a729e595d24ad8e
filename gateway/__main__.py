"""Runs the gateway: `python -m gateway`."""

from __future__ import annotations

from collections.abc import Callable

from shared import config
from shared.config import Settings
from shared.contracts.gateway import CONTRACT
from shared.service import Kernel, serve
from shared.state.history import NatsHistory

from .app import App, GatewayService
from .build import assemble


async def build(kernel: Kernel) -> GatewayService:
    """The gateway over the broker."""
    gateway = await assemble(kernel, NatsHistory(kernel.bus))
    return GatewayService(kernel, App(gateway))


def run(settings: Settings, ready: Callable[[], None]) -> None:
    """Serves until SIGTERM; `ready` is called when the sockets listen."""
    serve(CONTRACT, build, settings, ready)


if __name__ == "__main__":
    run(config.load(), lambda: None)
