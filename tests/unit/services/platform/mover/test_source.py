"""Both movers in two threads, with a process as the workload; a program in `criu lazy-pages`' place."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from services.platform.mover import source, target
from services.platform.mover.control import Control
from services.platform.mover.page_server import AT_ONCE
from services.platform.mover.store import PAGE
from shared import pki
from shared.clock import now_ns
from tests.support.certified import certify
from tests.unit.services.platform.mover.test_images import image, message

PROCESS = 5
LAZY_PAGES = """#!/usr/bin/python3
import socket, struct, sys
if not open(sys.argv[sys.argv.index("--config") + 1]).read(): sys.exit("nobody is left")
server = socket.socket(fileno=int(sys.argv[sys.argv.index("--ps-socket") + 1]))
start, pages, out = {start}, {pages}, open({out!r}, "wb")
while pages:
    server.sendall(struct.pack("=I4xQQQ", 7, pages, start, {process}))
    number = struct.unpack("=I4xQQQ", server.recv(32, socket.MSG_WAITALL))[1]
    out.write(server.recv(number * 4096, socket.MSG_WAITALL))
    start, pages = start + number * 4096, pages - number
"""


class Side:
    """One mover in a thread, and the platform's end of its control."""

    def __init__(self, serve: Any, config: dict[str, Any]) -> None:
        ours, theirs = socket.socketpair()
        ours.settimeout(60)
        self.failed = False
        self._before: list[dict[str, Any]] = []
        self._socket, self._lines = ours, ours.makefile("rb")
        self._thread = threading.Thread(target=self._run, args=(serve, Control(theirs), config))
        self._thread.start()

    def _run(self, serve: Any, control: Control, config: dict[str, Any]) -> None:
        try:
            serve(control, config)
        except SystemExit:
            self.failed = True

    def ask(self, **asked: Any) -> None:
        self._socket.sendall(json.dumps(asked).encode() + b"\n")

    def hear(self, event: str) -> dict[str, Any]:
        """The next of that event; what is told before it can be heard afterwards: some have no order between them."""
        for said in self._before:
            if said["event"] == event:
                self._before.remove(said)
                return said
        while line := self._lines.readline():
            told: dict[str, Any] = json.loads(line)
            if told["event"] == event:
                return told
            self._before.append(told)
        raise AssertionError(event)

    def leave(self) -> None:
        """The platform is killed."""
        self._lines.close()
        self._socket.close()

    def ended(self) -> None:
        self._thread.join(60)
        assert not self._thread.is_alive()


WORKLOAD = """
import ctypes, mmap, os, sys
area = mmap.mmap(-1, {pages} * 4096, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
area[:] = os.urandom(len(area))
print(ctypes.addressof(ctypes.c_char.from_buffer(area)), flush=True)
sys.stdin.read()
"""


class Workload:
    """A process with so many pages of memory that can be looked at and changed."""

    def __init__(self, pages: int) -> None:
        words = [sys.executable, "-S", "-c", WORKLOAD.format(pages=pages)]
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.process.stdout is not None
        self.start, self.length = int(self.process.stdout.readline()), pages * PAGE
        self._memory = os.open(f"/proc/{self.process.pid}/mem", os.O_RDWR)

    def bytes(self) -> bytes:
        return os.pread(self._memory, self.length, self.start)

    def change(self, page: int) -> None:
        os.pwrite(self._memory, os.urandom(10), self.start + page * PAGE)

    def close(self) -> None:
        os.close(self._memory)
        self.process.kill()
        self.process.communicate()


class Move:
    """Two sides, joined; 300 pages of a process as the workload's memory."""

    def __init__(self, folder: Path, program: str = LAZY_PAGES) -> None:
        self.folder, self.pages = folder, 300
        self.workload = Workload(self.pages)
        self.start = self.workload.start
        authority = pki.authority("c1", now_ns())
        for name in ("a", "b", "images", "dump", "moved"):
            (folder / name).mkdir()
        for node in ("a", "b"):
            certify(folder / node, f"node-{node}", authority)
        (folder / "dump" / f"pagemap-{PROCESS}.img").write_bytes(image(message(f1=self.start, f2=self.pages, f4=2)))
        (folder / "log").write_text("line\n")
        self._program(program)
        config = {"ticket": "t" * 32, "folder": str(folder / "moved"), "images": str(folder / "images")}
        group = {"freezer": "/nowhere", "frozen": "1", "thawed": "0", "members": "/nowhere", "v2": True}
        more = {"host": "127.0.0.1", "certificates": str(folder / "b"), "log": str(folder / "log.b")}
        self.target = Side(target.serve, config | group | more | {"criu": str(folder / "criu")})
        port = self.target.hear("listening")["port"]
        more = {"address": f"127.0.0.1:{port}", "certificates": str(folder / "a"), "node": "node-b"}
        self.source = Side(source.serve, config | more)
        self.source.hear("connected")

    def _program(self, text: str) -> None:
        """What stands in for criu."""
        path = self.folder / "criu"
        path.write_text(text.format(start=self.start, pages=self.pages, out=str(self.folder / "out"), process=PROCESS))
        path.chmod(0o700)

    @property
    def common(self) -> dict[str, Any]:
        return {"processes": [[self.workload.process.pid, PROCESS]], "log": str(self.folder / "log")}

    def copy(self) -> dict[str, Any]:
        self.source.ask(do="copy", **self.common)
        return self.source.hear("copied")

    def dump(self) -> dict[str, Any]:
        images = {"images": str(self.folder / "dump"), "files": [], "manifest": {"is": "there"}}
        self.source.ask(do="dump", **images, **self.common)
        said = self.source.hear("dumped")
        self.target.hear("received")
        return said

    def memory(self) -> bytes:
        """What the other side's processes would have."""
        return (self.folder / "out").read_bytes()


@pytest.fixture
def move(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Move]:
    made = Move(tmp_path, **getattr(request, "param", {}))
    yield made
    for side in (made.source, made.target):
        with contextlib.suppress(OSError):
            side.leave()
        side.ended()
    made.workload.close()


def test_without_a_copy_before_every_page_comes_later(move: Move) -> None:
    said = move.dump()
    assert said["log_bytes"] == 5
    assert (move.folder / "images" / f"pagemap-{PROCESS}.img").exists()
    assert json.loads((move.folder / "moved" / target.MANIFEST).read_text()) == {"is": "there"}
    move.target.ask(do="keep", all=False)
    move.target.hear("kept")
    move.target.hear(target.SETTLED)
    assert move.source.hear(source.SERVED)["sent"] < 1.1 * move.workload.length
    move.target.ended()
    assert move.memory() == move.workload.bytes()
    assert (move.folder / "log.b").read_text() == "line\n"


def test_only_what_has_changed_since_it_was_copied_is_sent_again(move: Move) -> None:
    first = move.copy()
    assert first["changed"] >= move.workload.length
    move.workload.change(7)
    (move.folder / "log").write_text("line\nanother\n")
    move.dump()
    move.target.ask(do="keep", all=True)
    move.target.hear("kept")
    sent = move.source.hear(source.SERVED)["sent"]
    assert sent - first["sent"] < 10 * PAGE + 4 * AT_ONCE  # what is asked for before it is known to be unchanged
    move.target.hear(target.SETTLED)
    move.target.ended()
    assert move.memory() == move.workload.bytes()
    assert (move.folder / "log.b").read_text() == "line\nanother\n"


def test_movers_go_on_when_the_platforms_are_killed(move: Move) -> None:
    move.dump()
    move.target.ask(do="keep", all=False)
    move.target.hear("kept")
    for side in (move.source, move.target):
        side.leave()
        side.ended()
        assert not side.failed
    move.target.ended()
    assert move.memory() == move.workload.bytes()
    assert (move.folder / "moved" / source.SERVED).exists()


def test_before_the_dump_they_end_with_the_platform(move: Move) -> None:
    move.source.leave()
    move.source.ended()
    assert move.source.failed
    move.target.hear(target.LOST)
    move.target.ended()
    assert move.target.failed


def test_a_log_begun_anew_comes_from_its_beginning(move: Move) -> None:
    move.copy()
    (move.folder / "log").write_text("new\n")
    move.dump()
    assert (move.folder / "log.b").read_text() == "line\nnew\n"
