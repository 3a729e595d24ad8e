"""Restored processes whose memory comes after them: who touches a page gets it first, the others come in between.

criu hands over a userfaultfd of each process by the socket `lazy-pages.socket`, as to its own `criu lazy-pages`
(criu/uffd.c): the process's pid (4 bytes), the descriptor with one byte; at the end, 4 bytes that say that they run.
"""

from __future__ import annotations

import os
import select
import socket
import struct
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from . import guard, images, priority, userfaults
from .guard import Guard
from .lacking import Lacking, Part
from .store import PAGE, Store

SOCKET = "lazy-pages.socket"
_NUMBER = struct.Struct("=i")
_RUN = 0x52535446
PIECE = 256 << 10
"""So many bytes are given at a time of what nobody waits for."""
QUIET = 0.3
"""Seconds in which, when they begin to run, nothing is given but what somebody waits for: they need the processors."""
PACE = 256 << 20
"""Bytes a second afterwards."""
AGAIN = 0.001
"""Seconds until it is tried again to place pages where mappings are changing."""


class Process:
    """One of them."""

    def __init__(self, number: int, descriptor: int, lacking: Lacking) -> None:
        self.number, self.descriptor, self.lacking = number, descriptor, lacking
        self.faults: set[int] = set()
        """Addresses of pages that somebody waits for."""

    def fork(self, descriptor: int) -> Process:
        return Process(self.number, descriptor, self.lacking.copy())


class Absent:
    """All processes of a move. `ValueError` and `OSError` from any method: their memory is lost."""

    def __init__(self, folder: Path, store: Store, guard: Guard) -> None:
        """`folder` has criu's images."""
        self._folder, self._store, self._guard = folder, store, guard
        self._processes: dict[int, Process] = {}
        self._fill = self.runs = False
        self._next, self._again = 0.0, False
        self._connection: socket.socket | None = None
        self._listener = socket.socket(socket.AF_UNIX)
        place = os.open(folder, os.O_PATH | os.O_CLOEXEC)
        try:
            self._listener.bind(f"/proc/self/fd/{place}/{SOCKET}")  # the path itself may be too long
        finally:
            os.close(place)
        self._listener.listen()

    def __len__(self) -> int:
        return len(self._processes)

    @property
    def done(self) -> bool:
        """All are restored, and lack nothing, whether they run or not."""
        return self._fill and not any(each.lacking for each in self._processes.values())

    def sources(self) -> set[int]:
        """Descriptors that `hear` is called for."""
        return {self._speaking.fileno(), *self._processes} - {-1}

    def patience(self) -> float | None:
        """Seconds until `give` is called, whatever happens; None: no matter when."""
        if self._again:
            return AGAIN
        if not self._fill or self._available() is None:
            return None
        return max(0.0, self._next - time.monotonic())

    def fill(self, patient: bool = False) -> None:
        """All are restored: from now on what nobody waits for is given, too; `patient`: as far as the processors have
        nothing else to do until they run.
        """
        while self._speaks():  # criu has said of each that it is there, and here that may not have been heard
            self._listen()
        if patient:
            priority.wait_for_idle()
        self._fill = True

    def _speaks(self) -> bool:
        speaking = self._speaking
        return speaking.fileno() >= 0 and bool(select.select((speaking,), (), (), 0)[0])

    @property
    def _speaking(self) -> socket.socket:
        return self._listener if self._connection is None else self._connection

    def _listen(self) -> None:
        if self._connection is None:
            self._connection, _ = self._listener.accept()
            self._listener.close()
        else:
            self._restored(self._connection)

    def hear(self, ready: set[int]) -> None:
        """Takes in what they say."""
        if self._speaking.fileno() in ready:
            self._listen()
        for descriptor in ready & self._processes.keys():
            process = self._processes[descriptor]
            while (event := userfaults.event(descriptor)) is not None:
                self._happened(process, event)

    def _restored(self, connection: socket.socket) -> None:
        try:
            word = connection.recv(_NUMBER.size, socket.MSG_WAITALL)
        except ConnectionError:
            word = b""
        if not word:  # it has ended, and says why elsewhere
            connection.close()
            return
        (number,) = _NUMBER.unpack(word)
        if number == _RUN:
            self._fill = self.runs = True
            priority.wait_no_more()
            self._next = time.monotonic() + QUIET
            priority.give(priority.HURRY)
        elif number > 0:  # else one that has ended, and waits to be asked for its exit code
            _, descriptors, _, _ = socket.recv_fds(connection, 1, 1)
            image = self._folder / f"pagemap-{number}.img"
            parts = [Part(start, start + length, start) for start, length in images.left_out(image.read_bytes())]
            self._add(Process(number, descriptors[0], Lacking(parts)))

    def _add(self, process: Process) -> None:
        os.set_inheritable(process.descriptor, False)
        self._processes[process.descriptor] = process
        self._guard.keep(process.descriptor)

    def _happened(self, process: Process, event: userfaults.Event) -> None:
        if event.kind == userfaults.FAULT:
            process.faults.add(event.second // PAGE * PAGE)
        elif event.kind == userfaults.FORK:
            self._add(process.fork(event.first & 0xFFFFFFFF))
        elif event.kind == userfaults.REMAP:
            process.lacking.move(event.first, event.second, event.third)
        elif event.kind in (userfaults.REMOVE, userfaults.UNMAP):
            process.lacking.drop(event.first, event.second)
        else:
            raise ValueError(f"userfaultfd tells what is not known: {event.kind:#x}")

    def give(self) -> Iterator[tuple[int, int]]:
        """Gives what somebody waits for, and a piece of the rest if it is time; process and address of pages that are
        waited for and are not here.
        """
        self._again = False
        for process in list(self._processes.values()):
            for address in list(process.faults):
                if (origin := self._serve(process, address)) is not None:
                    yield process.number, origin
        if self._fill and not self._again and time.monotonic() >= self._next and (found := self._available()):
            given = self._place(*found)
            if self.runs:
                self._next = max(self._next, time.monotonic() - AGAIN) + given / PACE

    def _serve(self, process: Process, address: int) -> int | None:
        """Where the page was, if it is not here."""
        origin = process.lacking.origin(address)
        if origin is None:
            given = self._try(process, partial(userfaults.zero, process.descriptor, address))
        else:
            pointer, length = self._store.here(process.number, origin, PAGE)
            if not length:
                return origin
            given = self._place(process, address, pointer, PAGE)
        if given:
            process.faults.discard(address)
        return None

    def _available(self) -> tuple[Process, int, int, int] | None:
        """Of the first process that lacks something, the next that is here: its address, where it is, its length."""
        for process in self._processes.values():
            if process.lacking:
                part = process.lacking.first
                pointer, length = self._store.here(process.number, part.origin, min(PIECE, part.end - part.start))
                if length:
                    return process, part.start, pointer, length
        return None

    def _place(self, process: Process, address: int, pointer: int, length: int) -> int:
        """How many bytes it does not lack any more."""
        given = self._try(process, partial(userfaults.place, process.descriptor, address, pointer, length))
        process.lacking.drop(address, address + given)
        return given

    def _try(self, process: Process, give: Callable[[], int]) -> int:
        try:
            return give()
        except BlockingIOError:
            self._again = True
        except ProcessLookupError:
            process.lacking, process.faults = Lacking(), set()
        return 0

    def close(self) -> None:
        """Only when every page is there, or nobody is left who could read one."""
        for descriptor in self._processes:
            os.close(descriptor)
        self._processes.clear()
        self._listener.close()
        if self._connection is not None and (self.runs or self._connection.fileno() < 0):
            self._connection = None
        self._guard.dismiss(self._connection)

    def listen(self) -> None:
        """Once closed: until criu has nothing more to say. The guard does the same: one of the two may be killed."""
        if self._connection is not None:
            guard.listen(self._connection.fileno())
