"""Gates as real processes, with a program in criu's place that says what it is told to say."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.platform.adapters import criu, movers
from services.platform.mover import rpc
from tests.support.namespaces import socket_in

OWN = f"/proc/{os.getpid()}/ns/net"
ASKS = f"""#!{sys.executable}
import os, socket, sys
asked = socket.socket(fileno=int(sys.argv[2]))
request = asked.recv(1 << 16)
if not request:
    sys.exit("nobody")
with open(os.path.dirname(sys.argv[0]) + "/told", "wb") as file:
    file.write(request)
print("hidden")
os.write({movers.STREAMS + 1}, os.readlink("/proc/self/ns/net").encode())
said = [bytes.fromhex(word) for word in sys.argv[0].rpartition("-")[2].split(".")]
for each in said:
    asked.send(each)
    if each[:2] == bytes((8, {rpc.NOTIFY})) and asked.recv(100) != {rpc.go_on(True)!r}:
        sys.exit(1)
"""


def notice(action: str, pid: int = 0) -> bytes:
    about = rpc.message(((1, action), (2, pid)))
    return rpc.message(((1, rpc.NOTIFY), (2, 1), (5, about)))


def ended(success: bool, pid: int = 0, error: str = "") -> bytes:
    about = rpc.message(((1, pid),))
    return rpc.message(((1, rpc.RESTORE), (2, int(success)), (4, about), (7, 22), (9, error)))


WELL = (notice("pre-restore"), notice("post-restore", 77), notice("post-resume"), ended(True, 77))


def asks(folder: Path, *said: bytes) -> str:
    """A program that is told its task, and says this."""
    path = folder / f"criu-{'.'.join(each.hex() for each in said)}"
    path.write_text(ASKS)
    path.chmod(0o700)
    return str(path)


def started(folder: Path, program: str, network: str = OWN) -> tuple[subprocess.Popen[bytes], movers.Fifo]:
    config = movers.write_gate(folder, program, network)
    told = movers.Fifo(folder / "gate")
    return run(config), told


def run(config: Path, keep: int = -1) -> subprocess.Popen[bytes]:
    words = movers.python("services.platform.mover.gate", str(config))
    kept = (keep,) if keep >= 0 else ()
    return subprocess.Popen(words, stdout=subprocess.PIPE, start_new_session=True, pass_fds=kept)


def wait_held(folder: Path) -> None:
    while criu.held(folder) != 77:
        time.sleep(0.005)


def test_at_the_source_it_becomes_what_has_the_platform_s_socket(tmp_path: Path) -> None:
    program = tmp_path / "criu"
    program.write_text('#!/bin/sh\necho "$1" "$2"; readlink /proc/self/ns/net; readlink "/proc/self/fd/$2"\n')
    program.chmod(0o700)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        number = theirs.fileno()
        gate = run(movers.write_gate(tmp_path, str(program), OWN, socket=number), number)
        out, _ = gate.communicate(timeout=60)
        network, there = os.readlink("/proc/self/ns/net"), os.readlink(f"/proc/self/fd/{number}")
    assert out.decode().splitlines() == [f"swrk {number}", network, there]


@pytest.mark.parametrize("agreed", [True, False])
def test_at_the_target_it_holds_what_is_restored_until_it_is_told(tmp_path: Path, agreed: bool) -> None:
    gate, told = started(tmp_path, asks(tmp_path, *WELL))
    told.tell(b"a task".hex().encode())
    wait_held(tmp_path)
    told.close()  # the platform may be gone by now
    assert (tmp_path / criu.PIDFILE).read_text() == "77"
    assert criu.ran_at(tmp_path) == 0
    with open(tmp_path / criu.GO, "wb") as fifo:
        fifo.write(b"go\n" if agreed else b"no\n")
    out, _ = gate.communicate(timeout=60)
    assert (gate.returncode, criu.ran_at(tmp_path) > 0) == ((0, True) if agreed else (1, False))
    assert out == os.readlink("/proc/self/ns/net").encode()  # the monitor's stream; its own words are in a log
    assert (tmp_path / "told").read_bytes() == b"a task"
    assert (tmp_path / "gate.log").exists()


def test_until_then_nothing_is_said_in_its_network(tmp_path: Path) -> None:
    """Neither by it nor for it: the kernel refuses nobody there, whether or not what was restored is still there."""
    words = ["unshare", "--net", "sh", "-c", "ip link set lo up; echo up; exec cat"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as there:
        try:
            assert there.stdout is not None
            assert there.stdout.readline() == b"up\n"
            network = Path(f"/proc/{there.pid}/ns/net")
            gate, told = started(tmp_path, asks(tmp_path, *WELL), str(network))
            told.tell(b"00")
            wait_held(tmp_path)
            with socket_in(network, socket.SOCK_DGRAM) as speaking:
                with pytest.raises(PermissionError):
                    speaking.sendto(b"word", ("127.0.0.1", 9))
                with open(tmp_path / criu.GO, "wb") as fifo:
                    fifo.write(b"go\n")
                gate.communicate(timeout=60)
                told.close()
                assert speaking.sendto(b"word", ("127.0.0.1", 9)) == 4
        finally:
            there.kill()


def test_a_network_of_its_own_has_a_loopback_link(tmp_path: Path) -> None:
    program = tmp_path / "criu"
    program.write_text("#!/bin/sh\ncat /sys/class/net/lo/flags; readlink /proc/self/ns/net\n")
    program.chmod(0o700)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        gate = run(movers.write_gate(tmp_path, str(program), "", socket=theirs.fileno()), theirs.fileno())
        out, _ = gate.communicate(timeout=60)
    assert out.decode().split()[-1] != os.readlink("/proc/self/ns/net")


def test_it_tells_what_criu_says_went_wrong(tmp_path: Path) -> None:
    gate, told = started(tmp_path, asks(tmp_path, notice("pre-restore"), ended(False, error="no such mount")))
    told.tell(b"00")
    assert gate.wait(60) == 1
    told.close()
    assert "no such mount" in (tmp_path / "gate.log").read_text()


def test_it_ends_when_criu_does(tmp_path: Path) -> None:
    gate, told = started(tmp_path, asks(tmp_path, *WELL))
    told.tell(b"00")
    wait_held(tmp_path)
    children = Path(f"/proc/{gate.pid}/task/{gate.pid}/children").read_text().split()
    os.kill(int(children[0]), 9)
    assert gate.wait(60) == 1
    told.close()


def test_it_ends_when_nobody_is_left_to_tell_it(tmp_path: Path) -> None:
    gate, told = started(tmp_path, asks(tmp_path, *WELL))
    while str(tmp_path / "gate") not in opened(gate.pid):
        time.sleep(0.01)
    told.close()
    assert gate.wait(60) == 1
    assert not (tmp_path / "told").exists()


def test_nor_does_it_wait_for_a_platform_that_was_gone_before(tmp_path: Path) -> None:
    gate = run(movers.write_gate(tmp_path, asks(tmp_path, *WELL), OWN))
    assert gate.wait(60) == 1


def test_what_it_becomes_has_a_cgroup_namespace_of_its_own(tmp_path: Path) -> None:
    program = tmp_path / "criu"
    program.write_text("#!/bin/sh\nreadlink /proc/self/ns/cgroup\n")
    program.chmod(0o700)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        number = theirs.fileno()
        gate = run(movers.write_gate(tmp_path, str(program), OWN, socket=number, cgroup_namespace=True), number)
        out, _ = gate.communicate(timeout=60)
    assert out.decode().startswith("cgroup:[")
    assert out.decode().strip() != os.readlink("/proc/self/ns/cgroup")


def opened(pid: int) -> Iterator[str]:
    """What it has open; it opens and closes meanwhile."""
    for each in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            yield os.readlink(each)
