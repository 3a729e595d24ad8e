"""Both movers in two threads, with a process as the workload, and another one as what criu has restored of it."""

from __future__ import annotations

import contextlib
import hashlib
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

from services.platform.mover import injection, source, target
from services.platform.mover.control import Control
from services.platform.mover.store import PAGE
from shared import pki
from shared.clock import now_ns
from tests.support.certified import certify
from tests.unit.services.platform.mover.test_absent import Restored, empty_group
from tests.unit.services.platform.mover.test_images import image, message
from tests.unit.services.platform.mover.test_written import can_follow

PROCESS = 5


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

    def heard(self, event: str) -> bool:
        """Whether that was told before what was heard last."""
        return any(said["event"] == event for said in self._before)

    def leave(self) -> None:
        """The platform is killed."""
        self._lines.close()
        self._socket.close()

    @property
    def runs(self) -> bool:
        return self._thread.is_alive()

    @property
    def scheduler(self) -> int:
        """By which rule it gets a processor (sched(7))."""
        assert self._thread.native_id is not None
        return os.sched_getscheduler(self._thread.native_id)

    def ended(self) -> None:
        self._thread.join(60)
        assert not self._thread.is_alive()


WORKLOAD = """
import ctypes, os, sys
start, length = 0x7E1000000000, {pages} * 4096
libc = ctypes.CDLL(None)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long)
assert libc.mmap(start, length, 3, 0x100022, -1, 0) == start
ctypes.memmove(start, os.urandom(length), length)
print(start, flush=True)
if sys.stdin.readline():
    os.execv(sys.executable, sys.orig_argv)
"""


class Workload:
    """A process with so many pages of memory that can be looked at and changed."""

    def __init__(self, pages: int) -> None:
        words = [sys.executable, "-S", "-c", WORKLOAD.format(pages=pages)]
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.length = pages * PAGE
        self._look()

    def _look(self) -> None:
        assert self.process.stdout is not None
        self.start = int(self.process.stdout.readline())
        self._memory = os.open(f"/proc/{self.process.pid}/mem", os.O_RDWR)

    def begin_anew(self) -> None:
        """It runs a program that has other memory at the same place."""
        os.close(self._memory)
        assert self.process.stdin is not None
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()
        self._look()

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

    def __init__(self, folder: Path) -> None:
        self.folder, self.pages = folder, 300
        self.process: Restored | None = None
        self.workload = Workload(self.pages)
        self.start = self.workload.start
        authority = pki.authority("c1", now_ns())
        for name in ("a", "b", "images", "dump", "moved"):
            (folder / name).mkdir()
        for node in ("a", "b"):
            certify(folder / node, f"node-{node}", authority)
        (folder / "dump" / f"pagemap-{PROCESS}.img").write_bytes(image(message(f1=self.start, f2=self.pages, f4=2)))
        (folder / "log").write_text("line\n")
        config = {"ticket": "t" * 32, "folder": str(folder / "moved"), "images": str(folder / "images")}
        more = {"host": "127.0.0.1", "certificates": str(folder / "b"), "log": str(folder / "log.b")}
        self.target = Side(target.serve, config | empty_group(folder) | more)
        port = self.target.hear("listening")["port"]
        more = {"address": f"127.0.0.1:{port}", "certificates": str(folder / "a"), "node": "node-b"}
        self.source = Side(source.serve, config | more)
        self.source.hear("connected")

    @property
    def common(self) -> dict[str, Any]:
        return {"processes": [[self.workload.process.pid, PROCESS]], "log": str(self.folder / "log")}

    def copy(self, expected: object = None) -> dict[str, Any]:
        self.source.ask(do="copy", manifest=expected, **self.common)
        return self.source.hear("copied")

    def dump(self) -> dict[str, Any]:
        images = {"images": str(self.folder / "dump"), "files": [], "manifest": {"is": "there"}}
        self.source.ask(do="images", images=str(self.folder / "dump"))
        self.source.ask(do="dump", **images, **self.common)
        said = self.source.hear("dumped")
        self.target.hear("received")
        return said

    def restored(self) -> Restored:
        """After the dump."""
        self.process = Restored(self.folder / "images", self.start, self.pages, PROCESS)
        return self.process

    def finish(self) -> None:
        """What was restored runs, if it does not: then the target ends."""
        if self.target.runs:
            (self.process or self.restored()).do("run")

    def keep(self, all: bool = False) -> None:
        self.target.ask(do="keep", all=all)
        self.target.hear("kept")

    def settled(self) -> int:
        """Bytes that came."""
        return int((self.folder / "moved" / target.SETTLED).read_text())

    def digest(self, first: int = 0, pages: int = 300) -> str:
        """Of the workload's memory."""
        return hashlib.sha256(self.workload.bytes()[first * PAGE : (first + pages) * PAGE]).hexdigest()


@pytest.fixture(params=[True, False], ids=["followed", "compared"])
def followed(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether the kernel tells what is written."""
    if not request.param:
        monkeypatch.setattr(injection, "userfaultfds", lambda pids: {})
    return request.param and can_follow()


@pytest.fixture
def move(tmp_path: Path, followed: bool) -> Iterator[Move]:
    made = Move(tmp_path)
    yield made
    for side in (made.source, made.target):
        with contextlib.suppress(OSError):
            side.leave()
    made.finish()
    for side in (made.source, made.target):
        side.ended()
    made.workload.close()
    if made.process is not None:
        made.process.close()


@pytest.mark.parametrize("all", [True, False])
def test_pages_are_placed_while_nothing_else_is_to_do_unless_all_are_waited_for(move: Move, all: bool) -> None:
    move.dump()
    move.restored()
    assert move.target.scheduler == os.SCHED_OTHER
    move.keep(all)
    assert move.target.scheduler == (os.SCHED_OTHER if all else os.SCHED_IDLE)


def test_what_the_dump_will_say_is_told_as_soon_as_it_is_known_and_once(move: Move) -> None:
    move.copy()
    for expected in ({"is": "first"}, {"is": "second"}):
        move.copy(expected)
    assert move.target.hear("expected")["manifest"] == {"is": "first"}
    move.dump()
    assert json.loads((move.folder / "moved" / "manifest.json").read_text()) == {"is": "there"}
    assert not move.target.heard("expected")


def test_at_the_latest_it_is_told_with_the_dump(move: Move) -> None:
    move.copy()
    move.dump()
    assert move.target.heard("expected")


def test_without_a_copy_before_every_page_comes_later(move: Move) -> None:
    said = move.dump()
    assert said["log_bytes"] == 5
    assert (move.folder / "images" / f"pagemap-{PROCESS}.img").exists()
    assert json.loads((move.folder / "moved" / target.MANIFEST).read_text()) == {"is": "there"}
    restored = move.restored()
    move.keep()
    restored.do("run")
    assert restored.do("read", move.start, move.pages) == move.digest()
    move.target.hear(target.SETTLED)
    assert move.source.hear(source.SERVED)["sent"] < 1.1 * move.workload.length
    move.target.ended()
    assert (move.folder / "log.b").read_text() == "line\n"


def test_only_what_has_changed_since_it_was_copied_is_sent_again(move: Move) -> None:
    first = move.copy()
    assert first["changed"] >= move.workload.length
    move.workload.change(7)
    (move.folder / "log").write_text("line\nanother\n")
    move.dump()
    restored = move.restored()
    move.keep(all=True)
    assert move.source.hear(source.SERVED)["sent"] - first["sent"] < 5 * PAGE
    restored.do("run")
    move.target.ended()
    assert restored.do("read", move.start, move.pages) == move.digest()
    assert (move.folder / "log.b").read_text() == "line\nanother\n"


def test_pages_that_are_waited_for_come_first(move: Move, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anybody has looked what has changed."""
    pushed = threading.Event()
    push = source.Source._push

    def late(self: source.Source, pages: Iterator[Any]) -> None:
        if pushed.is_set():
            push(self, pages)

    monkeypatch.setattr(source.Source, "_push", late)
    monkeypatch.setattr(source.Source, "_fork_scan", lambda self: None)
    move.copy()
    move.workload.change(200)
    move.dump()
    restored = move.restored()
    move.keep()
    for page in (200, 7):
        assert restored.do("read", move.start + page * PAGE, 1) == move.digest(page, 1)
    pushed.set()
    restored.do("run")
    move.target.ended()


@pytest.mark.parametrize(("ahead", "gently"), [(False, False), (True, True)])
def test_what_has_changed_is_looked_for_while_the_dump_is_sent(
    move: Move, followed: bool, ahead: bool, gently: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the kernel tells, before it has begun. And not again afterwards, but for what could not be known then."""
    later: list[int] = []
    first = move.copy()
    move.workload.change(7)
    came = threading.Event()
    monkeypatch.setattr(source.Source, "_push", noted(later, source.Source._push, came))
    if ahead:
        move.source.ask(do="still")
        if followed:
            assert came.wait(60)
    move.source.ask(do="scan", gently=gently)
    move.dump()
    restored = move.restored()
    move.keep()
    move.source.hear(source.SERVED)
    changed = move.start + 7 * PAGE
    assert changed in later if followed else later == []
    assert sum(move.start <= address < move.start + move.workload.length for address in later) <= 1
    restored.do("run")
    move.target.ended()
    assert restored.do("read", move.start, move.pages) == move.digest()
    assert move.settled() - first["sent"] < 3 * PAGE


def noted(told: list[int], push: Any, came: threading.Event) -> Any:
    def pushing(self: source.Source, steps: Iterator[int]) -> None:
        def seen() -> Iterator[int]:
            for address in steps:
                told.append(address)
                came.set()
                yield address

        push(self, seen())

    return pushing


def test_with_a_copy_all_comes_before(move: Move) -> None:
    """And is in place before they run."""
    move.dump()
    restored = move.restored()
    move.keep(all=True)
    assert move.target.hear(target.SETTLED)["bytes"] >= move.workload.length
    assert (move.folder / "moved" / target.FILLED).exists()
    assert move.target.runs
    restored.do("run")
    move.target.ended()
    assert restored.do("read", move.start, move.pages) == move.digest()


def test_movers_go_on_when_the_platforms_are_killed(move: Move) -> None:
    move.dump()
    restored = move.restored()
    move.keep()
    for side in (move.source, move.target):
        side.leave()
    restored.do("run")
    for side in (move.source, move.target):
        side.ended()
        assert not side.failed
    assert restored.do("read", move.start, move.pages) == move.digest()
    assert (move.folder / "moved" / source.SERVED).exists()


def test_before_the_dump_they_end_with_the_platform(move: Move) -> None:
    move.source.leave()
    move.source.ended()
    assert move.source.failed
    move.target.hear(target.LOST)
    move.target.ended()
    assert move.target.failed


def test_a_program_that_takes_the_place_of_another_comes_whole(move: Move) -> None:
    """Its memory is not what was copied."""
    move.copy()
    move.workload.begin_anew()
    move.dump()
    restored = move.restored()
    move.keep(all=True)
    restored.do("run")
    move.target.ended()
    assert restored.do("read", move.start, move.pages) == move.digest()


def test_a_log_begun_anew_comes_from_its_beginning(move: Move) -> None:
    move.copy()
    (move.folder / "log").write_text("new\n")
    move.dump()
    assert (move.folder / "log.b").read_text() == "line\nnew\n"
