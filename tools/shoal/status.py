"""`shoal status`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import msgspec
import typer

from shared import config

from .options import Config
from .processes import Process, processes, unready


def command(
    config_file: Config = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="A list of {name, pid, state, uptime_s, memory_bytes}.")
    ] = False,
) -> None:
    """Show the engine's own processes: supervisor, guardian, broker, gateway and services.

    MEMORY is the proportional set size: pages that several processes share count by share, so the total is what
    the engine costs. Exit code 0 when all run, 3 when one does not (`shoal up` starts what is missing).

    Containers are shown by `docker ps`.
    """
    found = processes(config.load(config_file))
    print(msgspec.json.encode(found).decode() if as_json else table(found))
    raise typer.Exit(3 if unready(found) else 0)


def table(found: Sequence[Process]) -> str:
    """The processes for people."""
    rows = [("NAME", "PID", "STATE", "UPTIME", "MEMORY")]
    rows += [
        (one.name, str(one.pid or "-"), one.state, duration(one.uptime_s), megabytes(one.memory_bytes)) for one in found
    ]
    rows.append(("total", "", "", "", megabytes(sum(one.memory_bytes for one in found))))
    return "\n".join(f"{a:14}{b:>8}  {c:10}{d:>10}{e:>11}" for a, b, c, d, e in rows)


def megabytes(size: int) -> str:
    """Millions of bytes with one digit after the point."""
    return f"{size / 1e6:.1f} MB"


def duration(seconds: float) -> str:
    """The two largest units: 3d4h, 2h5m, 1m12s, 8s."""
    total = int(seconds)
    parts = [(total // 86400, "d"), (total // 3600 % 24, "h"), (total // 60 % 60, "m"), (total % 60, "s")]
    first = next((index for index, (number, _) in enumerate(parts) if number), 3)
    return "".join(f"{number}{unit}" for number, unit in parts[first : first + 2])
