"""The target's mover: takes images, log and pages in, and gives the restored processes their memory.

Were that broken off, the kernel would let them read zeros. So when pages cannot come any more the processes are frozen
and killed before anything is let go.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import select
import socket
from pathlib import Path

from . import link
from .absent import Absent
from .control import Control
from .guard import Group, Guard
from .link import Frame, Link
from .store import Store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MANIFEST, SETTLED, FILLED, LOST = "manifest.json", "settled", "filled", "lost"
"""Files in the move's folder: what the source said; every page is here (bytes that came); and in place; pages
cannot come any more."""
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,100}")


class Target:
    """One move's."""

    def __init__(self, connection: Link, control: Control, config: dict[str, Any]) -> None:
        self._link: Link | None = connection
        self._control, self._config = control, config
        self._folder, self._images = Path(config["folder"]), Path(config["images"])
        self._store = Store()
        self._absent = Absent(self._images, self._store, Guard(config))
        self._sealed = self._complete = False
        self._bytes = 0
        self._asked = self._awaits = False
        self._wanted: set[tuple[int, int]] = set()
        self._poller = select.poll()
        self._watched: set[int] = set()

    def run(self) -> None:
        """Until every page is in place, or cannot come any more. The source may go when all are here."""
        while True:
            try:
                for page in self._absent.give():  # also what was heard in a turn that ended with the link
                    self._want(page)
                if self._placed:
                    break
                self._kept(not self._awaits)
                self._turn()
            except ConnectionError as error:
                self._link = None
                if not self._complete:
                    raise
                self._control.tell(event="alone", reason=str(error))
        (self._folder / FILLED).touch()
        self._absent.close()
        self._kept()
        self._absent.listen()

    @property
    def _placed(self) -> bool:
        return self._complete and self._absent.done

    def _turn(self) -> None:
        sources = self._sources()
        for source in self._watched ^ sources:
            if source in sources:
                self._poller.register(source, select.POLLIN)
            else:
                self._poller.unregister(source)
        self._watched = sources
        waiting = self._link is not None and self._link.decrypted
        ready = {descriptor for descriptor, _ in self._poller.poll(0 if waiting else self._patience())}
        self._absent.hear(ready)
        if self._link is not None and (waiting or self._link.fileno() in ready):
            self._take(self._link.receive())
        if self._control.fileno() in ready:
            self._command()

    def _patience(self) -> int | None:
        seconds = self._absent.patience()
        return None if seconds is None else math.ceil(seconds * 1000)

    def _sources(self) -> set[int]:
        found = self._absent.sources() | {self._control.fileno()}
        if self._link is not None:
            found.add(self._link.fileno())
        return found - {-1}

    def _want(self, page: tuple[int, int]) -> None:
        if page in self._wanted:
            return
        if self._link is None:
            raise ValueError("a page is missing that the source has not sent")
        self._wanted.add(page)
        self._link.send(link.WANTED, b"", *page)

    def _take(self, frame: Frame) -> None:
        self._bytes += len(frame.payload)
        if frame.kind == link.PAGES:
            self._store.put(frame.process, frame.address, frame.payload)
        elif frame.kind == link.SAME:
            for begin, end in link.unpack(frame.payload):
                self._store.confirm(frame.process, begin, end - begin)
        elif frame.kind == link.STILL:
            self._store.doubt()
        elif frame.kind in (link.FILE, link.MORE):
            name, _, data = frame.payload.partition(b"\0")
            self._write(name.decode(errors="replace"), data, "wb" if frame.kind == link.FILE else "ab")
        elif frame.kind == link.LOG:
            self._append(frame.payload)
        elif frame.kind == link.EXPECT:
            self._control.tell(event="expected", manifest=json.loads(frame.payload))
        elif frame.kind == link.ALL_SENT:
            self._completed()
        elif frame.kind == link.SEALED:
            self._seal(json.loads(frame.payload))
        else:
            raise ConnectionAbortedError(frame.payload.decode(errors="replace"))

    def _write(self, name: str, data: bytes, mode: str) -> None:
        if not _NAME.fullmatch(name):
            raise ValueError(f"no name of an image: {name!r}")
        with open(self._images / name, mode) as file:
            file.write(data)

    def _append(self, data: bytes) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        if self._config["log"]:
            with open(os.open(self._config["log"], flags, 0o600), "ab") as file:
                file.write(data)

    def _seal(self, said: dict[str, Any]) -> None:
        (self._folder / MANIFEST).write_text(json.dumps(said))
        self._sealed = True
        assert self._link is not None
        self._link.send(link.RECEIVED)
        self._control.tell(event="received", bytes=self._bytes)

    def _completed(self) -> None:
        """The source has said all."""
        self._complete = True
        (self._folder / SETTLED).write_text(str(self._bytes))
        self._control.tell(event=SETTLED, bytes=self._bytes)
        if self._link is not None:
            with contextlib.suppress(ConnectionError):
                self._link.send(link.SETTLED)

    def _command(self) -> None:
        asked = self._control.ask()
        if asked is None and not self._sealed:
            raise SystemExit(1)
        if asked is not None:
            self._absent.fill(patient=not asked["all"])
            self._asked, self._awaits = True, asked["all"]

    def _kept(self, enough: bool = True) -> None:
        """The platform hears of it when the processes may run: with the strategy copy, when all is in place."""
        if self._asked and enough:
            self._asked = False
            self._control.tell(event="kept")

    def lost(self, reason: str) -> None:
        """Ends the processes, none of which runs on meanwhile; then nobody needs pages any more."""
        (self._folder / LOST).write_text(reason)
        with contextlib.suppress(OSError):  # it was never made
            Group(self._config).end()
        self._absent.close()
        self._control.tell(event=LOST, reason=reason)


def serve(control: Control, config: dict[str, Any]) -> None:
    """Listens, tells where, takes the one connection with the ticket, and runs."""
    certificates = Path(config["certificates"])
    family = socket.AF_INET6 if ":" in config["host"] else socket.AF_INET
    with socket.create_server((config["host"], 0), family=family) as listener:
        control.tell(event="listening", port=listener.getsockname()[1])
        joined = None
        while joined is None:
            ready, _, _ = select.select((listener.fileno(), control.fileno()), (), ())
            if control.fileno() in ready and control.ask() is None:
                raise SystemExit(1)
            if listener.fileno() in ready:
                joined = link.accept(listener, config["ticket"], certificates)
    target = Target(joined, control, config)
    try:
        target.run()
    except (OSError, ValueError) as error:
        target.lost(str(error))
        raise SystemExit(1) from None
