from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from shared.archive import confine
from tests.support.namespaces import links_of_the_kernel


def in_child(work: Callable[[], str]) -> str:
    """What `work` returns in a process of its own, or the error it ended with."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            said = work()
        except BaseException as error:  # noqa: BLE001
            said = repr(error)
        os.write(writing, said.encode())
        os._exit(0)
    os.close(writing)
    with open(reading) as file:
        said = file.read()
    os.waitpid(pid, 0)
    return said


def test_the_network_is_gone() -> None:
    def work() -> str:
        confine.leave_network()
        return Path("/proc/self/net/dev").read_text()

    lines = in_child(work).splitlines()[2:]
    assert {line.split(":")[0].strip() for line in lines} == set(links_of_the_kernel())


def test_only_the_capabilities_kept_are_left_for_good() -> None:
    def work() -> str:
        confine.keep_capabilities(confine.WRITING)
        return Path("/proc/self/status").read_text()

    status = dict(line.split(":\t") for line in in_child(work).splitlines() if ":\t" in line)
    mask = sum(1 << number for number in confine.WRITING)
    for name in ("CapEff", "CapPrm", "CapBnd"):
        assert int(status[name], 16) | mask == mask
    assert (int(status["CapInh"], 16), status["NoNewPrivs"]) == (0, "1")


def test_the_root_is_changed(tmp_path: Path) -> None:
    (tmp_path / "inside").touch()

    def work() -> str:
        confine.enter_root(str(tmp_path))
        return " ".join(os.listdir("/../..")) + os.getcwd()

    assert in_child(work) == "inside/"


def test_without_the_capability_the_root_stays() -> None:
    def work() -> str:
        confine.keep_capabilities(confine.WRITING)
        os.chroot("/tmp")
        return "changed"

    assert "PermissionError" in in_child(work)


def test_memory_has_an_end() -> None:
    def work() -> str:
        confine.limit_memory(512 << 20)
        return str(len(bytearray(1 << 30)))

    assert "MemoryError" in in_child(work)


def test_a_parents_end_is_the_childs() -> None:
    reading, writing = os.pipe()
    middle = os.fork()
    if middle == 0:
        if os.fork() == 0:
            confine.die_with_parent()
            os.write(writing, b"ready")
            os.read(os.pipe()[0], 1)  # for ever
        os.read(reading, 5)
        os._exit(0)
    os.waitpid(middle, 0)
    os.close(writing)
    with open(reading, "rb") as file:
        assert file.read() == b""  # the last holder of the writing end is gone


def test_a_root_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        confine.enter_root(str(tmp_path / "missing"))
