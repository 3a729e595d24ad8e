"""One host of a lab: namespaces held by an init process of their own, whose death is the host's."""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from shared.errors import FailedPrecondition
from tools.supervisor import records

NAMESPACES = ("--net", "--mount", "--pid", "--uts", "--ipc", "--fork", "--mount-proc", "--propagation", "private")
INIT_NAME = "init"
PAUSE = 0.2
INIT = """
mount -t tmpfs -o mode=755 tmpfs /run && hostname "$1" && echo ready && exec tini -s -- sleep infinity >/dev/null
"""
"""Runs as the host's process 1: the host is ready when it says so. /run is the host's own, and gone with it."""


class Host:
    """A host by its folder, which holds the record of its init process."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name = folder, name

    @property
    def pid(self) -> int:
        """The init process; `FailedPrecondition` where the host does not run."""
        record = self._record()
        if record is None:
            raise FailedPrecondition(f"{self.name} does not run")
        return record.pid

    @property
    def running(self) -> bool:
        return self._record() is not None

    @property
    def network(self) -> str:
        """Its network namespace, as a path."""
        return f"/proc/{self.pid}/ns/net"

    def start(self) -> None:
        """Makes the namespaces and waits until the host's init has set itself up. A running host stays as it is."""
        if self.running:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        with open(self.folder / "init.log", "wb") as log:
            holder = subprocess.Popen(
                ["unshare", *NAMESPACES, "sh", "-c", INIT, "init", self.name],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        assert holder.stdout is not None
        with holder.stdout as told:
            if told.readline() != b"ready\n":
                raise FailedPrecondition(f"{self.name} could not be started: see {log.name}")
        pid = int(Path(f"/proc/{holder.pid}/task/{holder.pid}/children").read_text())
        started = records.start_ticks(pid) or 0
        records.write(self.folder, records.Record(name=INIT_NAME, pid=pid, started=started, boot=records.boot_id()))

    def kill(self, dying: Callable[[], object] = lambda: None) -> None:
        """As a power cut: every process of the host ends at once, and its network with them. Its disk stays.

        `dying` is called until all have ended: what one of them freezes with its last breath is let go.
        """
        record = self._record()
        descriptor = records.open_pidfd(record) if record else None
        if descriptor is None:
            return
        try:
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)
            dying()
            while not select.select([descriptor], [], [], PAUSE)[0]:
                dying()
        finally:
            os.close(descriptor)
        records.remove(self.folder, INIT_NAME)

    def command(self, arguments: Sequence[str]) -> list[str]:
        """The words that run a program on this host."""
        return ["nsenter", "-t", str(self.pid), "-n", "-m", "-p", "-u", "-i", "--", *arguments]

    def run(self, arguments: Sequence[str], environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        """Runs a program on this host to its end; its output is captured."""
        return subprocess.run(
            self.command(arguments),
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def remove(self) -> None:
        """Kills it and removes its disk."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _record(self) -> records.Record | None:
        record = records.read(self.folder, INIT_NAME)
        return record if record and records.alive(record) else None
