"""`python -m tools.supervisor [--config FILE] [--no-guardian]`: the supervisor in the foreground."""

from __future__ import annotations

import argparse
import functools
import importlib
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shared import config, logs
from shared.errors import ShoalError
from shared.memory import use_one_arena

from . import memory
from .child import module_of
from .guardian import REFUSED
from .plan import GATEWAY, SERVICES
from .supervisor import Supervisor

log = logging.getLogger("tools.supervisor")


def main() -> int:
    """Exit code 0 after an ordered stop, 2 when it must not begin."""
    arguments = _parser().parse_args()
    use_one_arena()
    try:
        logs.configure("info")
        settings = config.load(Path(arguments.config) if arguments.config else None)
        logs.configure(settings.log_level)
        supervisor = Supervisor(settings, _command(), _warm, with_guardian=not arguments.no_guardian)
        supervisor.keep_guardian()
        supervisor.run()
    except ShoalError as error:
        log.error("%s", error.message)
        return REFUSED
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tools.supervisor", description=sys.modules["tools.supervisor"].__doc__
    )
    parser.add_argument("--config", help="settings file (default: SHOAL_CONFIG, then /etc/shoal/shoal.toml)")
    parser.add_argument(
        "--no-guardian", action="store_true", help="somebody else, such as systemd, restarts the supervisor"
    )
    return parser


def _command() -> list[str]:
    """What the guardian executes when this process has died: the same as was executed for this process."""
    return [sys.executable, *sys.orig_argv[1:]]


@functools.cache
def _warm() -> None:
    """Imports and makes once what the forked services need; see also `memory`."""
    import asyncio  # noqa: F401

    import nkeys  # noqa: F401  # nats-py imports it when it connects: 3 MB in each service
    import uvloop  # noqa: F401

    with _without("aiohttp"):
        import shared.service
    for name in (*SERVICES, GATEWAY):
        try:
            importlib.import_module(module_of(name))
        except ImportError:
            log.exception("%s cannot be imported", name)
    shared.service.prepare()
    memory.freeze()


@contextmanager
def _without(module: str) -> Iterator[None]:
    """Keeps out what an imported package uses only if it is there: NATS over WebSocket would cost 10 MB."""
    if module in sys.modules:
        yield
        return
    sys.modules[module] = None  # type: ignore[assignment]  # the documented way to make an import fail
    try:
        yield
    finally:
        del sys.modules[module]


if __name__ == "__main__":
    sys.exit(main())
