"""The source's mover: reads the memory of the workload's processes and sends it.

While they run each pass sends the pages that were written since the one before, where the kernel tells (`written`),
else those that differ from what was sent. When they stand still for good, what has changed since is sent, found the
same way, for the latter by a process of its own (`scan`); meanwhile the dump goes (criu's images, which leave out
private memory, and the log's rest). Pages that the other side waits for go first.
"""

from __future__ import annotations

import json
import os
import select
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from . import images, injection, link, priority, ranges
from .control import Control
from .link import Link
from .memory import CHUNK, Memory
from .scan import CHANGED, DONE, Scan
from .store import PAGE, Store

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
        self._scan: Scan | None = None
        self._covered: dict[int, list[ranges.Range]] = {}
        """By process, what the target knows of."""
        self._pushing: Iterator[int] | None = None
        """Sends a piece of what is left at each step, and tells its address."""
        self._images = folder
        self._announced = False
        self._still = self._sealed = self._told_all = self._settled = self._hurries = False

    def run(self) -> None:
        """Until the target has every page, or the platform goes before the dump was sent."""
        listening = self._control.fileno()
        while not self._settled:
            ready = self._ready(listening)
            if self._link.fileno() in ready or self._link.decrypted:
                self._told()
            elif listening in ready:
                if not self._command(self._control.ask()):
                    listening = -1
            elif self._scan is not None and self._scan.fileno() in ready:
                self._found(self._scan)
            elif self._pushing is not None:
                self._push(self._pushing)
        (self._folder / SERVED).touch()
        self._control.tell(event=SERVED, sent=self._link.sent)

    def _ready(self, listening: int) -> set[int]:
        """Which of those that it hears have something to say."""
        if self._control.waiting:
            return {listening}
        poller = select.poll()
        for descriptor in (self._link.fileno(), listening, self._scan.fileno() if self._scan is not None else -1):
            if descriptor >= 0:
                poller.register(descriptor, select.POLLIN)
        return {descriptor for descriptor, _ in poller.poll(None if self._pushing is None else 0)}

    def _command(self, asked: dict[str, Any] | None) -> bool:
        """Whether there is a platform that may ask again."""
        if asked is None:
            if not self._sealed:
                raise SystemExit(1)
            return False
        if asked["do"] == "copy":
            self._copy(asked)
        elif asked["do"] == "still":
            self._stand_still()
        elif asked["do"] == "scan":
            self._compare(asked["gently"])
        elif asked["do"] == "images":
            for image in sorted(Path(asked["images"]).glob("*.img")):
                self._send_file(image)
        else:
            self._dump(asked)
        return True

    def _copy(self, asked: dict[str, Any]) -> None:
        before, total = self._link.sent, 0
        for memory in self._known(asked["processes"], running=True):
            written = memory.written()
            if written is not None:
                self._send_pages(memory, written)
                total += memory.size()
                continue
            for address, data in memory.chunks():
                total += len(data)
                self._send_changed(memory.process, address, data)
        changed = self._link.sent - before
        self._fork_scan()
        self._send_log(asked["log"])
        if asked["manifest"] is not None:
            self._announce(asked["manifest"])
        self._control.tell(event="copied", sent=self._link.sent, changed=changed, total=total)

    def _announce(self, manifest: dict[str, Any]) -> None:
        """Once: the target makes ready what that tells."""
        if not self._announced:
            self._announced = True
            self._link.send(link.EXPECT, json.dumps(manifest).encode())

    def _fork_scan(self) -> None:
        self._end_scan()
        compared = [memory for memory in self._memories.values() if not memory.is_followed()]
        if compared:
            unused = (self._link.fileno(), self._control.fileno())
            self._scan = Scan(self._store, compared, [each for each in unused if each >= 0])

    def _end_scan(self) -> None:
        if self._scan is not None:
            self._scan.close()
            self._scan = None

    def _stand_still(self) -> None:
        """What the kernel knows of is sent from now on. criu, whose code is in the processes for a while, leaves their
        memory as it was.
        """
        if self._still:
            return
        self._link.send(link.STILL)
        self._still = True
        followed = [memory for memory in self._memories.values() if memory.is_followed() and not memory.gone]
        looked = [(memory, *memory.still()) for memory in followed]
        for memory, same, written in looked:
            self._same(memory.process, same)
            self._covered.setdefault(memory.process, []).extend(written)
        self._pushing = chain.from_iterable(self._pushed(memory, written) for memory, _, written in looked)

    def _compare(self, gently: bool) -> None:
        """Only when criu has left the processes: while its code is there they look changed."""
        self._stand_still()
        if self._scan is not None:
            self._scan.begin(gently)

    def _same(self, process: int, ranges: list[ranges.Range]) -> None:
        for piece in link.pack(ranges):
            self._link.send(link.SAME, piece, process)
        self._covered.setdefault(process, []).extend(ranges)

    def _found(self, scan: Scan) -> None:
        for each in scan.found():
            if each.kind == DONE:
                self._same(each.process, [(each.address, each.address + each.length)])
            elif each.kind == CHANGED:
                for address, data in self._memory(each.process).all(each.address, each.length):
                    self._link.send(link.PAGES, data, each.process, address)
            else:
                self._end_scan()
                self._push_rest()

    def _memory(self, process: int) -> Memory:
        """`ValueError`: there is none."""
        for memory in self._memories.values():
            if memory.process == process:
                return memory
        raise ValueError(f"no process {process}")

    def _known(self, processes: list[list[int]], running: bool) -> list[Memory]:
        """A process that has ended meanwhile is left out."""
        wanted = dict((pid, inside) for pid, inside in processes)  # noqa: C402 - the pairs are lists
        for pid in [pid for pid, memory in self._memories.items() if pid not in wanted or memory.gone]:
            self._memories.pop(pid).close()
        new = wanted.keys() - self._memories.keys()
        for pid in new:
            try:
                self._memories[pid] = Memory(pid, wanted[pid])
            except OSError:
                pass
        if running:
            for pid, userfaultfd in injection.userfaultfds(new & self._memories.keys()).items():
                self._memories[pid].follow(userfaultfd)
        return list(self._memories.values())

    def _send_pages(self, memory: Memory, written: list[ranges.Range]) -> None:
        for begin, end in written:
            for address, data in memory.pieces(begin, end - begin):
                self._link.send(link.PAGES, data, memory.process, address)

    def _send_changed(self, process: int, address: int, data: bytes) -> None:
        for offset, length in self._store.changed(process, address, data):
            piece = data[offset : offset + length]
            self._link.send(link.PAGES, piece, process, address + offset)
            self._store.put(process, address + offset, piece)

    def _send_last(self, process: int, address: int, data: bytes) -> None:
        """As it stays: what has changed, and that the rest has not."""
        for offset, length in self._store.changed(process, address, data):
            self._link.send(link.PAGES, data[offset : offset + length], process, address + offset)
        self._same(process, [(address, address + len(data))])

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
        """What the target must have besides criu's images to go on; returns when it has it."""
        if not self._still:
            self._compare(gently=False)
        self._known(asked["processes"], running=False)
        self._announce(asked["manifest"])
        for file in asked["files"]:
            self._send_file(Path(file))
        self._send_log(asked["log"])
        self._link.send(link.SEALED, json.dumps(asked["manifest"]).encode())
        while (frame := self._link.receive()).kind != link.RECEIVED:
            if frame.kind == link.FAILED:
                raise ConnectionAbortedError(frame.payload.decode(errors="replace"))
        self._sealed, self._images = True, Path(asked["images"])
        self._control.tell(event="dumped", sent=self._link.sent, log_bytes=self._log_at)
        self._push_rest()

    def _send_file(self, path: Path) -> None:
        name, kind = path.name.encode() + b"\0", link.FILE
        with open(path, "rb") as file:
            while (data := file.read(CHUNK)) or kind == link.FILE:
                self._link.send(kind, name + data)
                kind = link.MORE

    def _push_rest(self) -> None:
        """When all is known: what the dump left out, and nobody has told of."""
        if self._sealed and self._scan is None and self._pushing is None and not self._told_all:
            self._pushing = self._left_out()

    def _push(self, pushing: Iterator[int]) -> None:
        for _ in pushing:
            return
        self._pushing = None
        self._push_rest()

    def _pushed(self, memory: Memory, written: list[ranges.Range]) -> Iterator[int]:
        for begin, end in written:
            for address, data in memory.all(begin, end - begin):
                self._link.send(link.PAGES, data, memory.process, address)
                yield address

    def _left_out(self) -> Iterator[int]:
        for memory in self._memories.values():
            image = self._images / f"pagemap-{memory.process}.img"
            covered = sorted(self._covered.get(memory.process, ()))
            for start, length in images.left_out(image.read_bytes()) if image.exists() else ():
                for begin, end in ranges.without((start, start + length), covered):
                    for address, data in memory.all(begin, end - begin):
                        self._send_last(memory.process, address, data)
                        yield address
        self._told_all = True
        self._link.send(link.ALL_SENT)

    def _told(self) -> None:
        frame = self._link.receive()
        if frame.kind == link.SETTLED:
            self._settled = True
        elif frame.kind == link.FAILED:
            raise ConnectionAbortedError(frame.payload.decode(errors="replace"))
        elif frame.kind == link.WANTED:
            if not self._hurries:
                self._hurries = True
                priority.give(priority.HURRY)
            for address, data in self._memory(frame.process).all(frame.address, PAGE):
                self._send_last(frame.process, address, data)


def serve(control: Control, config: dict[str, Any]) -> None:
    """Connects and runs. Failures are told the platform; the processes are left as they are."""
    try:
        made = link.connect(config["address"], config["ticket"], Path(config["certificates"]), config["node"])
        control.tell(event="connected")
        Source(made, control, Path(config["folder"])).run()
    except (OSError, ValueError) as error:
        control.tell(event="failed", reason=str(error))
        raise SystemExit(1) from None
