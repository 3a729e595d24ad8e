"""The target's mover: takes images, log and pages in, and gives `criu lazy-pages` the pages it asks for.

criu fills the restored processes' memory on their faults (userfaultfd(2)), and in between all the rest. Were that
broken off, the kernel would let them read zeros. So their userfaultfds are kept open here, too, and when pages cannot
come any more the processes are frozen and killed before anything is let go.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import signal
import socket
import subprocess
import time
from pathlib import Path

from . import link
from .control import Control
from .kept import Kept
from .link import Frame, Link
from .page_server import PageServer
from .store import Store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MANIFEST, SETTLED, FILLED, LOST = "manifest.json", "settled", "filled", "lost"
"""Files in the move's folder: what the source said; every page is here (bytes that came); and in place; pages
cannot come any more."""
PATIENCE = 10.0
LOOK_MILLISECONDS = 5
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,100}")


class Pages:
    """`criu lazy-pages` and what is held so that nobody reads a page that is not there.

    It is started ahead, with a pipe as its configuration file, and waits there until it may look for the images.
    """

    def __init__(self, program: str, images: Path) -> None:
        reader, self._told = os.pipe2(os.O_CLOEXEC)
        ours, theirs = socket.socketpair()
        with theirs, open(reader, "rb"):
            # criu gets our end as well: it never sees a hang-up, at which it would let go
            numbers = (ours.fileno(), theirs.fileno(), reader)
            words = [program, "lazy-pages", "--no-default-config", "--config", f"/proc/self/fd/{reader}"]
            words += ["--page-server", "--ps-socket", str(theirs.fileno())]
            words += ["-D", str(images), "-W", str(images), "-o", "lazy.log"]
            null = subprocess.DEVNULL
            self.process = subprocess.Popen(words, pass_fds=numbers, stdin=null, stdout=null, stderr=null)
        self.connection, self.server = ours, PageServer(ours, Store())
        self.ended = os.pidfd_open(self.process.pid)
        self.kept = Kept(self.process.pid, self.ended)

    def begin(self, store: Store) -> None:
        """All images are here; pages are those of `store`."""
        self.server = PageServer(self.connection, store)
        os.write(self._told, b"verbosity 1\n")
        os.close(self._told)

    def close(self) -> None:
        """Only when every page is there, or nobody is left who could read one."""
        self.process.kill()
        self.process.wait()
        self.kept.close()
        os.close(self.ended)
        self.connection.close()


class Target:
    """One move's."""

    def __init__(self, connection: Link, control: Control, config: dict[str, Any]) -> None:
        self._link: Link | None = connection
        self._control, self._config = control, config
        self._folder, self._images = Path(config["folder"]), Path(config["images"])
        self._store = self._fresh = Store()
        """What came before the dump, which may have changed since; what came after."""
        self._ahead = Pages(config["criu"], self._images)
        self._pages: Pages | None = None
        self._complete = self._filled = False
        self._bytes = 0
        self._number, self._awaits = -1, False
        self._wanted: set[tuple[int, int]] = set()
        self._poller = select.poll()
        self._watched: set[int] = set()

    def run(self) -> None:
        """Until every page is in place, or cannot come any more. The source may go when all are here."""
        while not self._filled:
            try:
                self._turn()
            except ConnectionError as error:
                self._link = None
                if not self._complete:
                    raise
                self._control.tell(event="alone", reason=str(error))
        if not self._complete:  # criu had asked for all before the source said so
            self._completed()
        (self._folder / FILLED).touch()

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
        if waiting and self._link is not None:
            ready.add(self._link.fileno())
        if self._pages is not None and self._pages.connection.fileno() in ready:
            self._asked(self._pages)
        if self._link is not None and self._link.fileno() in ready:
            self._take(self._link.receive())
        if self._control.fileno() in ready:
            self._command()
        if self._pages is not None and self._pages.ended in ready:
            self._ended(self._pages)

    def _patience(self) -> int | None:
        """Milliseconds until it is looked which processes criu has filled: it tells nobody when it closes something."""
        if self._pages is None or not self._pages.kept:
            return None
        self._pages.kept.release()
        return LOOK_MILLISECONDS

    def _sources(self) -> set[int]:
        found = {self._control.fileno()}
        if self._link is not None:
            found.add(self._link.fileno())
        if self._pages is not None:
            found |= {self._pages.connection.fileno(), self._pages.ended}
        return found - {-1}

    def _take(self, frame: Frame) -> None:
        self._bytes += len(frame.payload)
        if frame.kind == link.PAGES:
            self._fresh.put(frame.process, frame.address, frame.payload)
            if self._pages is not None:
                self._pages.server.answer()
        elif frame.kind == link.FILE:
            name, _, data = frame.payload.partition(b"\0")
            self._write(name.decode(errors="replace"), data)
        elif frame.kind == link.LOG:
            self._append(frame.payload)
        elif frame.kind == link.ALL_SENT:
            self._completed()
        elif frame.kind == link.SEALED:
            self._seal(json.loads(frame.payload))
        else:
            raise ConnectionAbortedError(frame.payload.decode(errors="replace"))

    def _write(self, name: str, data: bytes) -> None:
        if not _NAME.fullmatch(name):
            raise ValueError(f"no name of an image: {name!r}")
        with open(self._images / name, "ab" if data else "wb") as file:
            file.write(data)

    def _append(self, data: bytes) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        if self._config["log"]:
            with open(os.open(self._config["log"], flags, 0o600), "ab") as file:
                file.write(data)

    def _seal(self, said: dict[str, Any]) -> None:
        (self._folder / MANIFEST).write_text(json.dumps(said))
        self._fresh = Store()
        self._pages = self._ahead
        self._pages.begin(self._fresh)
        assert self._link is not None
        self._link.send(link.RECEIVED)
        self._control.tell(event="received", bytes=self._bytes, pages=self._pages.process.pid)

    def _asked(self, pages: Pages) -> None:
        for request in pages.server.receive():
            for address, length in self._fresh.missing(request.process, request.address, request.length):
                if self._link is None:
                    raise ConnectionResetError("a page is missing that the source has not sent")
                if (request.process, address) not in self._wanted:
                    self._wanted.add((request.process, address))
                    self._link.send(link.WANTED, length.to_bytes(4, "big"), request.process, address)

    def _completed(self) -> None:
        """The source has said all: what came before and did not come again is as it was."""
        self._complete = True
        if self._pages is not None:
            self._fresh.take_missing(self._store)
            self._pages.server.answer()
        self._kept()
        (self._folder / SETTLED).write_text(str(self._bytes))
        self._control.tell(event=SETTLED, bytes=self._bytes)
        if self._link is not None:
            with contextlib.suppress(ConnectionError):
                self._link.send(link.SETTLED)

    def _command(self) -> None:
        asked = self._control.ask()
        if asked is None:
            if self._pages is None:
                raise SystemExit(1)
        elif self._pages is not None:
            self._pages.kept.take()
            self._number = len(self._pages.kept)
            self._awaits = asked["all"]
            self._kept()

    def _kept(self) -> None:
        """The platform hears of it when the processes may run: with the strategy copy, when all is here."""
        if self._number >= 0 and (self._complete or not self._awaits):
            self._control.tell(event="kept", number=self._number)
            self._number = -1

    def _ended(self, pages: Pages) -> None:
        if pages.process.wait():
            raise ChildProcessError(f"criu lazy-pages ended with {pages.process.returncode}")
        self._filled = True

    def lost(self, reason: str) -> None:
        """Ends the processes, none of which runs on meanwhile; then nobody needs pages any more."""
        (self._folder / LOST).write_text(reason)
        end_group(self._config)
        self._ahead.close()
        self._control.tell(event=LOST, reason=reason)


def end_group(config: dict[str, Any]) -> None:
    """Kills all processes of the control group while they are frozen; returns when none is left, or patience is."""
    _freeze(config, True)
    limit = time.monotonic() + PATIENCE
    while (pids := _members(config)) and time.monotonic() < limit:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        _freeze(config, False)
        time.sleep(0.002)  # v1 tells nobody when a group becomes empty; the kill takes effect at once
    _freeze(config, False)


def _freeze(config: dict[str, Any], frozen: bool) -> None:
    words = config["frozen"] if frozen else config["thawed"]
    with contextlib.suppress(OSError):
        with open(os.open(config["freezer"], os.O_WRONLY | os.O_CLOEXEC), "w") as file:  # never made
            file.write(words)
        if frozen and not config["v2"]:
            limit = time.monotonic() + 1.0
            while Path(config["freezer"]).read_text().strip() != words and time.monotonic() < limit:
                time.sleep(0.0005)  # v1 has no notification; reading the state is what drives it on


def _members(config: dict[str, Any]) -> list[int]:
    try:
        return [pid for line in Path(config["members"]).read_text().split() if (pid := int(line)) > 1]
    except OSError:
        return []


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
