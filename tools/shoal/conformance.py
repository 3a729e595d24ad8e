"""`shoal conformance`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from shared import config
from shared.config import Settings
from shared.contracts import CONTRACTS
from shared.errors import InvalidArgument
from shared.ids import node_id
from shared.service import broker_url, key_file

from .options import Config

CHECKOUT = Path(__file__).parents[2]
SUITES = CHECKOUT / "tests" / "contract"


def command(
    service: Annotated[str, typer.Argument(help="The contract: image_store, platform, network, volume, executor.")],
    config_file: Config = None,
    nats: Annotated[str, typer.Option(help="Broker that the service is on; default: this engine's.")] = "",
    node: Annotated[str, typer.Option(help="Node that the service answers for; default: this host.")] = "",
    program: Annotated[
        str, typer.Option(help="Of a migration driver: what runs it, started by the suite on two hosts of its own.")
    ] = "",
) -> None:
    """Test whoever serves a contract, in whatever language, against the contract's own suite.

    The suite speaks only through the broker. It makes things with names of their own and removes them; still, do
    not aim it at an engine whose containers matter. Needs what `tests/run` installs.
    """
    if service not in CONTRACTS or not suite(service).is_dir():
        known = ", ".join(name for name in CONTRACTS if suite(name).is_dir())
        raise InvalidArgument(f"no suite for {service!r}; there are: {known}")
    environment = {"SHOAL_CONFORMANCE_PROGRAM": program} if program else _serving(config.load(config_file), nats, node)
    arguments = [sys.executable, "-P", "-m", "pytest", "-q", "-p", "no:cacheprovider", str(suite(service))]
    raise typer.Exit(subprocess.call(arguments, cwd=CHECKOUT, env=os.environ | environment))


def _serving(settings: Settings, nats: str, node: str) -> dict[str, str]:
    """Who is tested: somebody who serves already."""
    environment = {
        "SHOAL_CONFORMANCE_NATS": nats or broker_url(settings),
        "SHOAL_CONFORMANCE_NODE": node or node_id(settings.state_path),
    }
    seed = key_file(settings, "tool")
    return environment if nats or not seed else environment | {"SHOAL_CONFORMANCE_SEED": str(seed)}


def suite(service: str) -> Path:
    """The folder of a contract's suite."""
    return SUITES / service
