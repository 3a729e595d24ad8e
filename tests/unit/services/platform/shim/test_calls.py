"""System calls, each tried in a child, whose own state nobody needs afterwards."""

from __future__ import annotations

import ctypes
import os
import struct
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from services.platform.shim import calls

GET_DUMPABLE = 3


def in_child(work: Callable[[], object], group: int = -1) -> str:
    """What `work` returns in a forked child."""
    reader, writer = os.pipe()
    pid, pidfd = calls.clone(group)
    if pid == 0:
        os.write(writer, str(work()).encode())
        os._exit(0)
    os.close(writer)
    with open(reader, "rb") as answer:
        text = answer.read().decode()
    os.close(pidfd)
    assert os.waitpid(pid, 0)[1] == 0
    return text


def status(name: str) -> str:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(line.split()[1] for line in lines if line.startswith(f"{name}:"))


def test_a_clone_is_a_child_with_a_descriptor() -> None:
    pid, pidfd = calls.clone()
    if pid == 0:
        os._exit(5)
    assert os.waitid(os.P_PIDFD, pidfd, os.WEXITED).si_status == 5  # type: ignore[union-attr]
    os.close(pidfd)


def test_a_clone_into_what_is_no_group() -> None:
    folder = os.open("/tmp", os.O_RDONLY)
    with pytest.raises(OSError, match="descriptor"):
        calls.clone(folder)
    os.close(folder)


def test_namespaces_are_joined() -> None:
    own = os.pidfd_open(os.getpid())
    assert in_child(lambda: calls.setns(own, calls.NAMESPACES)) == "None"
    os.close(own)
    with pytest.raises(OSError, match="Bad file"):
        calls.setns(-1, calls.NAMESPACES)


def test_a_process_can_hide() -> None:
    libc = ctypes.CDLL(None)

    def work() -> int:
        calls.hide()
        return int(libc.prctl(GET_DUMPABLE, 0, 0, 0, 0))

    assert in_child(work) == "0"


def test_its_name() -> None:
    def work() -> str:
        calls.name("shoal-shim")
        return Path("/proc/self/comm").read_text()

    assert in_child(work) == "shoal-shim\n"


def test_capabilities() -> None:
    def work() -> list[str]:
        calls.keep_capabilities()
        calls.bound(0b101)
        calls.set_capabilities(0b001, 0b101, 0b100)
        return [status(f"Cap{name}").lstrip("0") for name in ("Bnd", "Eff", "Prm", "Inh", "Amb")]

    assert in_child(work) == "['5', '1', '5', '4', '']"


def test_another_user() -> None:
    def work() -> list[object]:
        calls.become_user(1000, 50, [50, 60])
        return [os.getresuid(), os.getresgid(), os.getgroups()]

    assert in_child(work) == "[(1000, 1000, 1000), (50, 50, 50), [50, 60]]"


def test_no_new_privileges() -> None:
    def work() -> str:
        calls.no_new_privileges()
        return status("NoNewPrivs")

    assert in_child(work) == "1"


def test_a_filter_holds() -> None:
    """It also refuses the call by which the child would tell, so its exit code tells: 7 from a raw exit group."""
    pid, pidfd = calls.clone()
    if pid == 0:
        calls.no_new_privileges()
        calls.filter_calls(ALLOW_ALL_BUT_GETPPID)
        os._exit(7 if os.getppid() in (-1, -38) else 1)
    os.close(pidfd)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7


_GETPPID = 110 if os.uname().machine == "x86_64" else 173
ALLOW_ALL_BUT_GETPPID = b"".join(
    struct.pack("HBBI", *line)
    for line in (
        (0x20, 0, 0, 0),  # load the number of the call
        (0x15, 0, 1, _GETPPID),  # is it getppid?
        (0x06, 0, 0, 0x00050000 | 38),  # then it fails
        (0x06, 0, 0, 0x7FFF0000),  # else it is allowed
    )
)


def test_the_session_keyring_is_another_one() -> None:
    libc = ctypes.CDLL(None)
    keyctl, get_id, session = calls._NUMBERS["keyctl"], 0, -3

    def work() -> bool:
        before = libc.syscall(keyctl, get_id, session, 0)
        calls.leave_keyring()
        return bool(before != libc.syscall(keyctl, get_id, session, 0) > 0)

    assert in_child(work) == "True"


def test_a_child_is_made_inside_a_group() -> None:
    """In the cgroup v2 tree that even a hybrid host has."""
    mount = Path("/sys/fs/cgroup/unified") if Path("/sys/fs/cgroup/unified").is_dir() else Path("/sys/fs/cgroup")
    group = mount / f"shoal-test-{uuid.uuid4().hex[:12]}"
    group.mkdir()
    folder = os.open(group, os.O_RDONLY | os.O_DIRECTORY)
    try:
        assert group.name in in_child(lambda: Path("/proc/self/cgroup").read_text(), folder)
    finally:
        os.close(folder)
        group.rmdir()
