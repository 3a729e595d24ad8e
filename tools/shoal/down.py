"""`shoal down`."""

from __future__ import annotations

import json
import os
import select
import signal
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated
from urllib.parse import urlencode

import typer

from shared import cluster, config, ids
from shared.config import Settings
from shared.errors import DeadlineExceeded
from tools.supervisor import fence, guardian, plan, records
from tools.supervisor.supervisor import NAME as SUPERVISOR

from . import api
from .leftovers import take_back
from .options import Config
from .processes import names

AT_ONCE = 16


def command(
    config_file: Config = None,
    containers: Annotated[
        bool, typer.Option("--containers", help="First stop all containers of this host, each in its own stop timeout.")
    ] = False,
    timeout: Annotated[float, typer.Option(help="Seconds to wait for each process to end.")] = 60,
) -> None:
    """Stop the engine. Containers go on running, and the next `shoal up` finds them again.

    Requests that are being served are finished first.
    """
    settings = config.load(config_file)
    if containers:
        stop_containers(settings)
    ended = stop_engine(settings, timeout)
    take_back(settings)
    print("Shoal has stopped." if ended else "Shoal was not running.")


def stop_containers(settings: Settings) -> None:
    """Stops every running container of this host through the engine, which shows those of other hosts, too."""
    here = json.dumps({"node": [ids.node_id(settings.state_path)]})
    where = f"?{urlencode({'filters': here})}" if cluster.load(settings.state_path) is not None else ""
    running = api.call(settings.socket_path, "GET", f"/containers/json{where}")
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda one: api.call(settings.socket_path, "POST", f"/containers/{one['Id']}/stop"), running))


def stop_engine(settings: Settings, timeout: float) -> list[str]:
    """Ends all engine processes; returns the names of those that ran.

    The supervisor ends the others in order. Without one, whoever is left is ended here, the guardian first, with
    the supervisor that it may be starting at the moment.
    """
    running = _alive(settings)
    if SUPERVISOR in running:
        _end(settings, SUPERVISOR, timeout)
    for name in (guardian.NAME, SUPERVISOR, plan.GATEWAY, *names(settings)):
        if name != plan.FENCE or not fence.is_needed(settings):
            _end(settings, name, timeout)
    return running


def _alive(settings: Settings) -> list[str]:
    where = records.folder(settings)
    return [name for name in names(settings) if (record := records.read(where, name)) and records.alive(record)]


def _end(settings: Settings, name: str, timeout: float) -> None:
    where = records.folder(settings)
    record = records.read(where, name)
    descriptor = records.open_pidfd(record) if record else None
    if record is None or descriptor is None:
        return
    try:
        if name == guardian.NAME:
            os.killpg(record.pid, signal.SIGTERM)  # it leads the group of the supervisors that it starts
        else:
            signal.pidfd_send_signal(descriptor, signal.SIGTERM)
        if not select.select([descriptor], [], [], timeout)[0]:
            raise DeadlineExceeded(f"{name} (process {record.pid}) did not end within {timeout:g} s")
    finally:
        os.close(descriptor)
    records.remove(where, name)
