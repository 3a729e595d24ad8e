"""An engine whose services do nothing but live: the real supervisor over it, for tests of the supervisor."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from shared.config import Settings
from tools.shoal.down import stop_engine
from tools.supervisor import records
from tools.supervisor.plan import GATEWAY, SERVICES
from tools.supervisor.watch import wait_until

CHECKOUT = Path(__file__).resolve().parents[2]
SECONDS = 60.0

SERVICE = """
import signal

def run(settings, ready):
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM,))
    ready()
    signal.sigwait((signal.SIGTERM,))
"""

GATEWAY_TEXT = """
import os
from shared.listening import inherited

def run(settings, ready):
    listening = inherited(settings.socket_path)
    listening.setblocking(True)
    ready()
    while True:
        connection, _ = listening.accept()
        connection.sendall(str(os.getpid()).encode())
        connection.close()
"""


class FakeEngine:
    """One engine with its folders below `home`."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.run_dir, self.state_dir = home / "run", home / "state"
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("SHOAL_")},
            "PYTHONPATH": f"{home / 'rooms'}:{CHECKOUT}",
            "SHOAL_RUN_DIR": str(self.run_dir),
            "SHOAL_STATE_DIR": str(self.state_dir),
            "SHOAL_CONFIG": str(home / "shoal.toml"),
        }
        self._started: list[subprocess.Popen[bytes]] = []
        (home / "shoal.toml").touch()
        for name in SERVICES:
            self.program(f"services/{name}", SERVICE)
        self.program("gateway", GATEWAY_TEXT)

    def program(self, package: str, text: str) -> None:
        """Replaces what a service does."""
        folder = self.home / "rooms" / package
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "__init__.py").touch()
        (folder / "__main__.py").write_text(text)

    @property
    def records(self) -> Path:
        return self.run_dir / "engine"

    def record(self, name: str) -> dict[str, Any]:
        """The record of a process, {} when there is none."""
        try:
            content: dict[str, Any] = json.loads((self.records / f"{name}.json").read_text())
        except FileNotFoundError:
            return {}
        return content

    def lives(self, name: str) -> bool:
        """Whether the process of the record runs."""
        record = records.read(self.records, name)
        return record is not None and records.alive(record)

    def pid(self, name: str) -> int:
        return int(self.record(name)["pid"])

    def start(self, *options: str, guarded: bool = True) -> subprocess.Popen[bytes]:
        """A supervisor, all of whose processes are ready when this returns."""
        self.records.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-P", "-m", "tools.supervisor", *options]
        process = subprocess.Popen(command, env=self.environment, stdin=subprocess.DEVNULL)
        self._started.append(process)
        self.until(lambda: all(self.record(name).get("ready") for name in (*SERVICES, GATEWAY)))
        self.until(lambda: self.lives("supervisor") and self.lives("guardian") == guarded)
        return process

    def until(self, holds: Callable[[], bool]) -> None:
        """Waits, woken by changes of the records, until something holds."""
        assert wait_until(self.records, holds, SECONDS), "not within the time"

    def kill(self, name: str) -> int:
        """Kills a process the hard way and waits for its end; returns the number it had."""
        return self._end(name, signal.SIGKILL)

    def _end(self, name: str, number: signal.Signals) -> int:
        pid = self.pid(name)
        descriptor = os.pidfd_open(pid)
        os.kill(pid, number)
        select.select([descriptor], [], [], SECONDS)
        os.close(descriptor)
        return pid

    def back(self, name: str, old: int) -> None:
        """Waits until another process than `old` bears the name and is ready (brokers and guardians just run)."""
        ready = name in (*SERVICES, GATEWAY, "supervisor")
        self.until(
            lambda: self.record(name).get("pid") not in (None, old) and (not ready or self.record(name)["ready"])
        )

    def sweep(self) -> None:
        """Ends the engine, whatever state a test has left it in."""
        stop_engine(Settings(run_dir=str(self.run_dir), state_dir=str(self.state_dir)), SECONDS)
        for process in self._started:
            process.wait(SECONDS)


@contextmanager
def fake_engine(home: Path) -> Iterator[FakeEngine]:
    """A fake engine that is gone afterwards."""
    engine = FakeEngine(home)
    try:
        yield engine
    finally:
        engine.sweep()
