"""`shoal up`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from shared import config
from shared.config import Settings
from shared.errors import Unavailable
from tools.supervisor import records
from tools.supervisor.supervisor import NAME as SUPERVISOR
from tools.supervisor.watch import wait_until

from .options import Config
from .processes import processes, services_ready, unready

CHECKOUT = Path(__file__).resolve().parents[2]
LOG_LINES = 5


def command(
    config_file: Config = None,
    timeout: Annotated[float, typer.Option(help="Seconds to wait until everything serves.")] = 120,
) -> None:
    """Start the engine and wait until it serves. An engine that runs already is left as it is.

    Containers that outlived an earlier engine are found again. Logs of the engine's processes are in
    <state_dir>/log.
    """
    settings = config.load(config_file)
    where = records.make_folder(settings)
    for _ in range(2):  # a second time when somebody else's supervisor was faster than ours
        supervisor = running(settings) or start(settings, config_file)
        try:
            if wait_until(where, lambda: services_ready(settings), timeout, ends=[supervisor]):
                break
        finally:
            os.close(supervisor)
    else:
        raise Unavailable(explain(settings))
    print(f"Shoal serves the Docker API at {settings.socket_path}.\n\n{next_steps(settings)}")


def running(settings: Settings) -> int | None:
    """A descriptor of the supervisor that runs, readable once it ends."""
    record = records.read(records.folder(settings), SUPERVISOR)
    return records.open_pidfd(record) if record else None


def start(settings: Settings, config_file: Path | None) -> int:
    """A supervisor in a session of its own; returns its descriptor."""
    logs = settings.state_path / "log"
    logs.mkdir(parents=True, exist_ok=True, mode=0o710)
    command = [sys.executable, "-P", "-m", "tools.supervisor"]
    if config_file:
        command += ["--config", str(config_file.resolve())]
    with open(logs / "supervisor.log", "ab") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            env={**os.environ, "PYTHONPATH": os.environ.get("PYTHONPATH") or str(CHECKOUT)},
            start_new_session=True,
        )
    return os.pidfd_open(process.pid)


def explain(settings: Settings) -> str:
    """What does not serve, and the ends of the logs that may tell why."""
    lines = []
    for name in unready(processes(settings)):
        log = settings.state_path / "log" / f"{name}.log"
        last = log.read_text(errors="replace").splitlines()[-LOG_LINES:] if log.exists() else []
        lines += [f"{name} does not serve; the end of {log}:", *(f"  {line}" for line in last)]
    return "\n".join([*lines, "shoal doctor tells what may be wrong with this host."])


def next_steps(settings: Settings) -> str:
    """What a person would type next."""
    return (
        f"    export DOCKER_HOST=unix://{settings.socket_path}\n"
        "    docker run --rm busybox echo hello    # any Docker client works\n"
        "    shoal status                          # the engine's own processes\n"
        "    shoal down                            # stop the engine; containers go on"
    )
