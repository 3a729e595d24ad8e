"""A private Shoal: this checkout's engine with a folder, a network namespace and names of its own.

The namespace keeps bridges, firewall rules and published ports away from the machine, whose other engines may use the
same ones; it vanishes with what is left in it.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from shared import config
from tools.bench.processes import tree
from tools.bench.reference import remove_cgroups
from tools.shoal.processes import services_ready
from tools.supervisor import records

CHECKOUT = Path(__file__).resolve().parents[2]
SECONDS = 120
REPLACED_SECONDS = 60


@dataclass(frozen=True)
class EngineProcess:
    """A line of `shoal status --json`."""

    name: str
    pid: int
    state: str


class Shoal:
    """Inside a `with` block the engine runs; `up` and `down` may be called there as often as wanted."""

    def __init__(self, settings: Mapping[str, str] | None = None) -> None:
        self.id = uuid.uuid4().hex[:6]
        self.root = Path(tempfile.mkdtemp(prefix=f"shoal-{self.id}-"))
        self.root.chmod(0o711)
        self.cgroup = f"shoal-{self.id}"
        self.settings = {
            "SHOAL_STATE_DIR": f"{self.root}/state",
            "SHOAL_RUN_DIR": f"{self.root}/run",
            "SHOAL_CGROUP_PARENT": self.cgroup,
            "SHOAL_NODE_NAME": f"node-{self.id}",
            "SHOAL_BRIDGE_SUBNET": "172.31.64.1/20",
            "SHOAL_NFT_TABLE": f"shoal_{self.id}",
            **(settings or {}),
        }
        self._holder: subprocess.Popen[bytes] | None = None

    @property
    def host(self) -> str:
        return f"unix://{self.root}/run/docker.sock"

    @property
    def netns(self) -> Path:
        assert self._holder is not None
        return Path(f"/proc/{self._holder.pid}/ns/net")

    def command(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """`shoal ...` with this engine's settings."""
        return self.inside([sys.executable, "-m", "tools.shoal", *arguments], check=check)

    def inside(
        self, command: Sequence[str], check: bool = True, seconds: float = SECONDS
    ) -> subprocess.CompletedProcess[str]:
        """A command in the engine's network namespace."""
        done = subprocess.run(
            ["nsenter", f"--net={self.netns}", *command],
            cwd=CHECKOUT,
            env={**os.environ, "PYTHONPATH": str(CHECKOUT), **self.settings},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
        )
        assert done.returncode == 0 or not check, f"{command}: {done.stdout}{done.stderr}{self.logs()}"
        return done

    def up(self) -> None:
        self.command("up")

    def down(self) -> None:
        """Stops the engine; containers go on."""
        self.command("down")

    def processes(self) -> list[EngineProcess]:
        """The engine's own processes now, without those that rest."""
        listed = json.loads(self.command("status", "--json", check=False).stdout)
        return [EngineProcess(one["name"], one["pid"], one["state"]) for one in listed if one["state"] != "resting"]

    def kill(self, name: str) -> None:
        """Kills a process of the engine, and waits until another has taken its place and all services are ready.

        One that rests is left alone: there is nothing to kill.
        """
        settings = config.load(environment={**os.environ, **self.settings})
        where = records.folder(settings)
        killed = records.read(where, name)
        assert killed is not None, f"{name} does not run"
        if killed.resting:
            return
        os.kill(killed.pid, signal.SIGKILL)
        deadline = time.monotonic() + REPLACED_SECONDS
        while True:
            now = records.read(where, name)
            if now and now.pid != killed.pid and records.alive(now) and services_ready(settings):
                return
            assert time.monotonic() < deadline, f"{name} does not come back: {self.processes()}{self.logs()}"
            time.sleep(0.02)

    def logs(self, lines: int = 15) -> str:
        """The ends of the engine's logs, for the message of a failed test."""
        found = sorted(Path(f"{self.root}/state/log").glob("*.log"))
        return "".join(f"\n--- {file.name}\n" + "\n".join(_tail(file, lines)) for file in found)

    def __enter__(self) -> Self:
        holder = ["unshare", "--net", "sh", "-c", "ip link set lo up; echo ready; exec sleep infinity"]
        self._holder = subprocess.Popen(holder, stdout=subprocess.PIPE)
        assert self._holder.stdout is not None
        assert self._holder.stdout.readline() == b"ready\n"
        try:
            self.up()
        except BaseException:
            self.sweep()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.command("down", check=False)
        self.sweep()

    def _end_processes(self) -> None:
        """Only the environment of a forked process tells whose it is. They replace one another, so all have to go."""
        mark, deadline = str(self.root).encode(), time.monotonic() + SECONDS
        while found := [int(each.name) for each in Path("/proc").glob("[0-9]*") if _carries(each, mark)]:
            assert time.monotonic() < deadline, f"processes of {self.root} do not end: {found}"
            for pid in tree(found):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def sweep(self) -> None:
        """Ends and removes everything that carries the names of this engine."""
        self._end_processes()
        if self._holder is not None:
            self._holder.kill()
            self._holder.communicate()
        for line in reversed(Path("/proc/self/mounts").read_text().splitlines()):
            if line.split()[1].startswith(str(self.root)):
                subprocess.run(["umount", "--lazy", line.split()[1]], check=False)
        remove_cgroups(self.cgroup)
        shutil.rmtree(self.root, ignore_errors=True)


def _carries(process: Path, text: bytes) -> bool:
    """Whether a process was started with text in its environment or command line."""
    try:
        return text in (process / "environ").read_bytes() or text in (process / "cmdline").read_bytes()
    except OSError:
        return False


def _tail(file: Path, lines: int) -> list[str]:
    return file.read_text(errors="replace").splitlines()[-lines:]
