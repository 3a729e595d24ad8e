"""The source's mover: reads the memory of the workload's processes and sends it.

While they run each pass sends the pages that differ from what was sent before. When they are frozen for good, the dump
goes (criu's images, which leave out private memory, and the log's rest); then the pages that have changed since, those
first that the other side waits for.
"""

from __future__ import annotations

import json
import os
import select
from collections.abc import Iterator
from pathlib import Path

from . import images, link
from .control import Control
from .link import Link
from .memory import CHUNK, Memory
from .store import Store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SERVED = "served"
"""File in the move's folder: the target has every page."""


class Source:
    """One move's."""

    def __init__(self, connection: Link, control: Control, folder: Path) -> None:
        self._link, self._control, self._folder = connection, control, folder
        self._store = Store()
        self._memories: dict[int, Memory] = {}
        self._log_at = 0
        self._pages: Iterator[tuple[Memory, int, bytes]] = iter(())
        self._sealed = self._pushing = self._settled = False

    def run(self) -> None:
        """Until the target has every page, or the platform goes before the dump was sent."""
        poller = select.poll()
        poller.register(self._link, select.POLLIN)
        poller.register(self._control, select.POLLIN)
        listening = self._control.fileno()
        while not self._settled:
            ready = dict(poller.poll(0 if self._pushing else None))
            if self._link.fileno() in ready or self._link.decrypted:
                self._told()
            elif listening in ready:
                if not self._command(self._control.ask()):
                    poller.unregister(listening)
                    listening = -1
            elif self._pushing:
                self._push()
        (self._folder / SERVED).touch()
        self._control.tell(event=SERVED, sent=self._link.sent)

    def _command(self, asked: dict[str, Any] | None) -> bool:
        """Whether there is a platform that may ask again."""
        if asked is None:
            if not self._sealed:
                raise SystemExit(1)
            return False
        if asked["do"] == "copy":
            self._copy(asked)
        else:
            self._dump(asked)
        return True

    def _copy(self, asked: dict[str, Any]) -> None:
        before, total = self._link.sent, 0
        for memory in self._known(asked["processes"]):
            for address, data in memory.chunks():
                total += len(data)
                self._send_changed(memory.process, address, data, keep=True)
        changed = self._link.sent - before
        self._send_log(asked["log"])
        self._control.tell(event="copied", sent=self._link.sent, changed=changed, total=total)

    def _known(self, processes: list[list[int]]) -> list[Memory]:
        """A process that has ended meanwhile is left out."""
        wanted = dict((pid, inside) for pid, inside in processes)  # noqa: C402 - the pairs are lists
        for pid in self._memories.keys() - wanted.keys():
            self._memories.pop(pid).close()
        for pid in wanted.keys() - self._memories.keys():
            try:
                self._memories[pid] = Memory(pid, wanted[pid])
            except OSError:
                pass
        return list(self._memories.values())

    def _send_changed(self, process: int, address: int, data: bytes, keep: bool) -> None:
        for offset, length in self._store.changed(process, address, data):
            piece = data[offset : offset + length]
            self._link.send(link.PAGES, piece, process, address + offset)
            if keep:
                self._store.put(process, address + offset, piece)

    def _send_log(self, path: str) -> None:
        """What was added to the log since the last time; one that was begun anew comes from its beginning."""
        try:
            with open(path, "rb") as file:
                if os.fstat(file.fileno()).st_size < self._log_at:
                    self._log_at = 0
                file.seek(self._log_at)
                while data := file.read(CHUNK):
                    self._link.send(link.LOG, data)
                    self._log_at += len(data)
        except FileNotFoundError:
            pass

    def _dump(self, asked: dict[str, Any]) -> None:
        """All that the target must have to go on; returns when it has it."""
        folder, memories = Path(asked["images"]), self._known(asked["processes"])
        for image in sorted(folder.glob("*.img")):
            self._send_file(image)
        for file in asked["files"]:
            self._send_file(Path(file))
        self._send_log(asked["log"])
        self._pages = self._left_out(folder, memories)
        self._link.send(link.SEALED, json.dumps(asked["manifest"]).encode())
        while (frame := self._link.receive()).kind != link.RECEIVED:
            if frame.kind == link.FAILED:
                raise ConnectionAbortedError(frame.payload.decode(errors="replace"))
        self._sealed = self._pushing = True
        self._control.tell(event="dumped", sent=self._link.sent, log_bytes=self._log_at)

    def _send_file(self, path: Path) -> None:
        name = path.name.encode() + b"\0"
        self._link.send(link.FILE, name)
        with open(path, "rb") as file:
            while data := file.read(CHUNK):
                self._link.send(link.FILE, name + data)

    @staticmethod
    def _left_out(folder: Path, memories: list[Memory]) -> Iterator[tuple[Memory, int, bytes]]:
        for memory in memories:
            image = folder / f"pagemap-{memory.process}.img"
            for start, length in images.left_out(image.read_bytes()) if image.exists() else ():
                for address, data in memory.pieces(start, length):
                    yield memory, address, data

    def _push(self) -> None:
        """A piece further: most is as it was sent before, and then nothing is."""
        try:
            memory, address, data = next(self._pages)
        except StopIteration:
            self._pushing = False
            self._link.send(link.ALL_SENT)
            return
        self._send_changed(memory.process, address, data, keep=False)

    def _told(self) -> None:
        frame = self._link.receive()
        if frame.kind == link.SETTLED:
            self._settled = True
        elif frame.kind == link.FAILED:
            raise ConnectionAbortedError(frame.payload.decode(errors="replace"))
        elif frame.kind == link.WANTED:
            length = int.from_bytes(frame.payload, "big")
            memory = next((each for each in self._memories.values() if each.process == frame.process), None)
            for address, data in memory.pieces(frame.address, length) if memory else ():
                self._link.send(link.PAGES, data, frame.process, address)


def serve(control: Control, config: dict[str, Any]) -> None:
    """Connects and runs. Failures are told the platform; the processes are left as they are."""
    try:
        made = link.connect(config["address"], config["ticket"], Path(config["certificates"]), config["node"])
        control.tell(event="connected")
        Source(made, control, Path(config["folder"])).run()
    except (OSError, ValueError) as error:
        control.tell(event="failed", reason=str(error))
        raise SystemExit(1) from None
