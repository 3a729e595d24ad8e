"""One workload that is being moved away, and what is kept of it."""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path

import msgspec

from shared.contracts.moving import Peer

from ..domain import moving
from . import process
from .movers import Mover
from .workload import Workload

RECORD = "departure.json"


class Record(msgspec.Struct, kw_only=True):
    """What is kept of a departure. `phase`: `begun`, `frozen`, `dumping`, `dumped`."""

    phase: str = "begun"
    memory: bool = False
    """Strategy copy: the target lets it run only when it has all memory."""
    share: str = ""
    """Of the processors, before criu's code in it was given more."""
    mover: int = 0
    mover_start: int = 0
    gate: int = 0
    gate_start: int = 0


class Departure:
    """One workload's."""

    def __init__(self, workload: Workload, record: Record, folder: Path, mover: Mover, peer: Peer) -> None:
        self.workload, self.record, self.folder, self.mover, self.peer = workload, record, folder, mover, peer
        self.lock = asyncio.Lock()
        self.gate: socket.socket | None = None
        """Criu waits here for its task; `there` is done when it is."""
        self.there: asyncio.Future[bytes] | None = None
        self.manifest: asyncio.Future[moving.Manifest] | None = None
        self.status = self.pages = -1

    def write(self) -> None:
        """In one step."""
        temporary = self.workload.folder / f".{RECORD}"
        temporary.write_bytes(msgspec.json.encode(self.record))
        os.rename(temporary, self.workload.folder / RECORD)

    def end_criu(self) -> None:
        """Blocking."""
        process.end_started(self.record.gate, self.record.gate_start)

    def close(self) -> None:
        if self.there is not None:
            self.there.cancel()
        if self.gate is not None:
            self.gate.close()
        for descriptor in (self.status, self.pages):
            if descriptor >= 0:
                os.close(descriptor)
        self.status = self.pages = -1
        self.mover.close()
