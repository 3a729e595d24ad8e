"""Memory that comes later, of real processes with userfaultfds."""

from __future__ import annotations

import contextlib
import hashlib
import os
import select
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from services.platform.mover import absent
from services.platform.mover.absent import Absent
from services.platform.mover.guard import Guard
from services.platform.mover.store import PAGE, Store
from tests.unit.services.platform.mover.test_images import image, message

START, PAGES, NUMBER = 0x7E0000000000, 64, 9
RESTORED = Path(__file__).with_name("restored.py")


def empty_group(folder: Path) -> dict[str, Any]:
    """Of a guard's configuration: a control group without processes."""
    path = folder / "empty"
    path.touch()
    return {"freezer": str(path), "members": str(path), "frozen": "1", "thawed": "0", "v2": True}


class Restored:
    """A process, see `restored`."""

    def __init__(self, folder: Path, start: int = START, pages: int = PAGES, number: int = NUMBER) -> None:
        words = [sys.executable, "-S", str(RESTORED), str(start), str(pages), str(folder), str(number)]
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        assert self.said() == "ready"

    def begin(self, *words: object) -> None:
        assert self.process.stdin is not None
        print(*words, file=self.process.stdin, flush=True)

    def said(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def do(self, *words: object) -> str:
        self.begin(*words)
        return self.said()

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


class Mover:
    """What a target does with it, in a thread; `wanted`: pages that it had to ask for."""

    def __init__(self, folder: Path, data: bytes) -> None:
        (folder / f"pagemap-{NUMBER}.img").write_bytes(image(message(f1=START, f2=len(data) // PAGE, f4=2)))
        self.store, self.data = Store(), data
        self.absent = Absent(folder, self.store, Guard(empty_group(folder)))
        self.wanted: set[tuple[int, int]] = set()
        self.asked = threading.Event()
        self._stop, self._stopped = os.pipe()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while True:
            poller = select.poll()
            with self._lock:
                sources, patience = self.absent.sources(), self.absent.patience()
            for descriptor in (*sources, self._stop):
                poller.register(descriptor, select.POLLIN)
            ready = {descriptor for descriptor, _ in poller.poll(None if patience is None else int(patience * 1000))}
            if self._stop in ready and not os.read(self._stop, 1):
                return
            with self._lock:
                self.absent.hear(ready)
                if wanted := set(self.absent.give()):
                    self.wanted |= wanted
                    self.asked.set()

    def put(self, first: int, pages: int) -> None:
        """They are here from now on."""
        with self._lock:
            self.store.put(NUMBER, START + first * PAGE, self.data[first * PAGE : (first + pages) * PAGE])
        os.write(self._stopped, b"x")

    def fill(self) -> None:
        with self._lock:
            self.absent.fill()
        os.write(self._stopped, b"x")

    def digest(self, first: int, pages: int) -> str:
        return hashlib.sha256(self.data[first * PAGE : (first + pages) * PAGE]).hexdigest()

    def lacks(self, number: int = 0) -> int:
        with self._lock:
            parts = list(self.absent._processes.values())[number].lacking._parts
            return sum(part.end - part.start for part in parts) // PAGE

    def close(self) -> None:
        if not self._thread.is_alive():
            return
        os.close(self._stopped)
        self._thread.join(30)
        assert not self._thread.is_alive()
        os.close(self._stop)
        self.absent.close()


ZEROS = hashlib.sha256(bytes(PAGE)).hexdigest()


def at(page: int) -> int:
    return START + page * PAGE


@pytest.fixture
def mover(tmp_path: Path) -> Iterator[Mover]:
    made = Mover(tmp_path, os.urandom((PAGES - 4) * PAGE))
    yield made
    made.close()


@pytest.fixture
def restored(mover: Mover, tmp_path: Path) -> Iterator[Restored]:
    made = Restored(tmp_path)
    wait(lambda: len(mover.absent) == 1)
    yield made
    made.close()


def test_who_touches_a_page_gets_it(mover: Mover, restored: Restored) -> None:
    mover.put(0, PAGES - 4)
    assert restored.do("read", at(5), 3) == mover.digest(5, 3)
    assert mover.lacks() == PAGES - 4 - 3
    assert mover.wanted == set()


def test_what_was_never_used_is_zeros(mover: Mover, restored: Restored) -> None:
    mover.put(0, PAGES - 4)
    assert restored.do("read", at(PAGES - 2), 1) == ZEROS


def test_a_page_that_is_not_here_is_asked_for_and_waited_for(mover: Mover, restored: Restored) -> None:
    mover.put(0, 7)
    restored.begin("read", at(6), 2)
    assert mover.asked.wait(30)
    assert mover.wanted == {(NUMBER, at(7))}
    mover.put(7, 1)
    assert restored.said() == mover.digest(6, 2)


def test_all_that_is_here_is_given_before_they_run(mover: Mover, restored: Restored) -> None:
    mover.put(0, 30)
    mover.fill()
    wait(lambda: mover.lacks() == PAGES - 4 - 30)
    assert not mover.absent.done
    mover.put(30, PAGES - 34)
    wait(lambda: mover.absent.done)
    assert restored.do("read", START, PAGES - 4) == mover.digest(0, PAGES - 4)


def test_when_all_is_in_place_they_need_no_mover(mover: Mover, restored: Restored) -> None:
    """criu still says that they run, and would fail if nobody listened."""
    mover.put(0, PAGES - 4)
    mover.fill()
    wait(lambda: mover.absent.done)
    mover.close()
    listening = threading.Thread(target=mover.absent.listen)
    listening.start()
    assert restored.do("run") == "done"
    listening.join(30)
    assert not listening.is_alive()
    assert restored.do("read", START, PAGES - 4) == mover.digest(0, PAGES - 4)
    assert restored.do("read", at(PAGES - 2), 1) == ZEROS


def test_all_that_are_restored_are_known_when_they_are_filled(tmp_path: Path) -> None:
    """Also those that nobody has heard yet."""
    for number in (NUMBER, NUMBER + 1):
        (tmp_path / f"pagemap-{number}.img").write_bytes(image(message(f1=START, f2=1, f4=2)))
    made = Absent(tmp_path, Store(), Guard(empty_group(tmp_path)))
    speaking = socket.socket(socket.AF_UNIX)
    with contextlib.chdir(tmp_path):
        speaking.connect(absent.SOCKET)
    pipe, _ = os.pipe()
    with speaking:
        for number in (NUMBER, NUMBER + 1):
            speaking.sendall(struct.pack("=i", number))
            socket.send_fds(speaking, [b"\0"], [pipe])
        made.fill()
        assert len(made) == 2
        assert not made.done
    made.close()


def test_when_they_run_the_rest_comes_later(mover: Mover, restored: Restored, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(absent, "QUIET", 1000.0)
    restored.do("run")
    wait(lambda: mover.absent.runs)
    mover.put(0, PAGES - 4)
    mover.fill()
    assert restored.do("read", at(9), 1) == mover.digest(9, 1)
    assert mover.lacks() == PAGES - 5


def test_what_is_mapped_elsewhere_by_now_gets_its_pages_there(mover: Mover, restored: Restored) -> None:
    mover.put(0, PAGES - 4)
    there = START + 1000 * PAGE
    restored.do("move", at(10), there, 20 * PAGE)
    assert restored.do("read", there, 20) == mover.digest(10, 20)
    assert restored.do("read", at(30), 5) == mover.digest(30, 5)


def test_what_is_given_up_is_zeros(mover: Mover, restored: Restored) -> None:
    mover.put(0, PAGES - 4)
    restored.do("forget", at(10), 20 * PAGE)
    assert restored.do("read", at(12), 1) == ZEROS
    restored.do("unmap", at(20), 2 * PAGE)
    assert restored.do("read", at(30), 5) == mover.digest(30, 5)
    mover.fill()
    restored.do("run")
    wait(lambda: mover.absent.done)
    assert restored.do("read", at(13), 1) == ZEROS


def test_a_child_has_all_that_its_parent_has(mover: Mover, restored: Restored) -> None:
    mover.put(0, PAGES - 4)
    assert restored.do("fork", at(4), 20) == mover.digest(4, 20)
    assert restored.do("read", at(0), 30) == mover.digest(0, 30)
    assert len(mover.absent) == 2
    mover.fill()
    restored.do("run")
    wait(lambda: mover.absent.done)  # who has ended lacks nothing


def test_a_mapping_in_pieces_is_filled(mover: Mover, restored: Restored) -> None:
    for page in (3, 9, 11, 40):
        restored.do("unmap", at(page), PAGE)
    mover.put(0, PAGES - 4)
    mover.fill()
    wait(lambda: mover.lacks() == 0)
    assert restored.do("read", at(12), 28) == mover.digest(12, 28)


def test_who_is_gone_lacks_nothing(mover: Mover, restored: Restored) -> None:
    restored.do("run")
    restored.close()
    mover.put(0, PAGES - 4)
    mover.fill()
    wait(lambda: mover.absent.done)
    assert mover.lacks() == 0


def wait(happened: Callable[[], bool]) -> None:
    tried = threading.Event()
    for _ in range(3000):
        if happened():
            return
        tried.wait(0.01)
    raise AssertionError("it has not happened")
