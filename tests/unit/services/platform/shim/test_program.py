"""The shim as a process, spoken to as the platform speaks to it."""

from __future__ import annotations

import array
import json
import os
import re
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from services.platform.adapters import shim as client

HELD = int(re.search(r"CapEff:\s+(\w+)", Path("/proc/self/status").read_text())[1], 16)  # type: ignore[index]


class Shim:
    """One shim and the control socket."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.count = folder, 0
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.control.settimeout(60)
        with theirs:
            self.pid = client.start(theirs.fileno(), str(folder))

    def ask(self, *args: str, tty: bool = False, attach: bool = True, stdin: bool = False, **changes: Any) -> Path:
        """Asks for a program beside this very process."""
        self.count += 1
        folder = self.folder / str(self.count)
        folder.mkdir()
        spec = {
            "terminal": tty, "user": {"uid": 0, "gid": 0}, "args": args, "env": ["PATH=/usr/bin:/bin"], "cwd": "/",
            "noNewPrivileges": False, "rlimits": [], "oomScoreAdj": 0,
        }  # fmt: skip
        (folder / "process.json").write_text(json.dumps(spec | changes))
        request = {
            "folder": str(folder), "groups": [], "cgroups": [], "filter": "", "home": "/root",
            "capabilities": [HELD, HELD, HELD, 0], "stdin": stdin, "attach": attach,
        }  # fmt: skip
        own = os.pidfd_open(os.getpid())
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [own]))]
        self.control.sendmsg([json.dumps(request).encode()], rights)
        os.close(own)
        return folder

    def hear(self) -> tuple[dict[str, Any], list[int]]:
        data, descriptors, _, _ = socket.recv_fds(self.control, 65536, 3)
        return json.loads(data), descriptors

    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def ended(self) -> int:
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


@pytest.fixture
def shim(tmp_path: Path) -> Iterator[Shim]:
    made = Shim(tmp_path)
    yield made
    made.control.close()
    try:
        os.kill(made.pid, signal.SIGKILL)
        os.waitpid(made.pid, 0)
    except (ProcessLookupError, ChildProcessError):
        pass


def read(descriptor: int) -> bytes:
    with open(descriptor, "rb") as file:
        return file.read()


def test_a_program_its_streams_and_its_end(shim: Shim) -> None:
    folder = shim.ask("sh", "-c", "cat; echo oops >&2; exit 4", stdin=True)
    started, (out, err, into) = shim.hear()
    assert started == {"folder": str(folder), "pid": int((folder / "pidfile").read_text())}
    os.write(into, b"hello")
    os.close(into)
    assert shim.hear()[0] == {"folder": str(folder), "code": 4}
    assert (folder / "exit").read_text() == "4"
    assert (read(out), read(err)) == (b"hello", b"oops\n")


def test_signals_are_codes(shim: Shim) -> None:
    shim.ask("sh", "-c", "kill -9 $$", attach=False)
    assert shim.hear()[1] == []
    assert shim.hear()[0]["code"] == 137


def test_what_cannot_be_made(shim: Shim) -> None:
    folder = shim.ask("no-such-program")
    assert shim.hear()[0] == {"folder": str(folder), "stage": "search", "errno": 2, "what": "no-such-program"}
    folder = shim.ask("true", groups=[])
    (folder / "process.json").unlink(missing_ok=True)
    assert shim.hear()[0]["folder"] == str(folder)


def test_a_terminal(shim: Shim) -> None:
    shim.ask("sh", "-c", "stty size; read line; echo got $line", tty=True, consoleSize={"height": 9, "width": 99})
    _, (master,) = shim.hear()
    os.write(master, b"word\n")
    assert shim.hear()[0]["code"] == 0
    assert b"9 99\r\n" in (output := os.read(master, 4096))
    assert output.endswith(b"got word\r\n")
    os.close(master)


def test_nothing_is_kept_of_what_has_ended(shim: Shim) -> None:
    shim.ask("true")
    for descriptor in shim.hear()[1]:
        os.close(descriptor)
    shim.hear()
    before = shim.descriptors()
    for _ in range(20):
        shim.ask("true", stdin=True)
        for descriptor in shim.hear()[1]:
            os.close(descriptor)
        assert shim.hear()[0]["code"] == 0
        shim.ask("no-such-program")
        shim.hear()
    assert shim.descriptors() == before


def test_without_its_platform_it_goes_on_until_the_last_has_ended(shim: Shim) -> None:
    folder = shim.ask(
        "sh", "-c", "read go; head -c 1000000 /dev/zero; head -c 1000000 /dev/zero >&2; exit 6", stdin=True
    )
    _, (out, err, into) = shim.hear()
    shim.control.close()
    os.close(out)
    os.close(err)
    os.write(into, b"\n")
    assert shim.ended() == 0
    assert (folder / "exit").read_text() == "6"  # neither blocked by a full pipe nor killed by a closed one


def test_without_execs_it_ends_with_its_platform(shim: Shim) -> None:
    shim.control.close()
    assert shim.ended() == 0


def test_the_interpreter_cannot_be_written_through_it(shim: Shim) -> None:
    shim.ask("true")
    shim.hear()
    assert os.statvfs(f"/proc/{shim.pid}/exe").f_flag & os.ST_RDONLY
    assert os.path.samefile(f"/proc/{shim.pid}/exe", sys.executable)


def test_its_children_are_hidden_until_they_are_what_was_asked_for(shim: Shim) -> None:
    shim.ask("true")
    shim.hear()
    status = os.stat(f"/proc/{shim.pid}/environ")
    assert (status.st_uid, status.st_gid) == (0, 0)
    assert Path(f"/proc/{shim.pid}/comm").read_text() == "shoal-shim\n"
