"""Talking to monitors."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.platform.adapters import monitor
from services.platform.adapters.runtime import Runtime
from shared.errors import Internal


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reader, writer = os.pipe()
    yield reader, writer
    os.close(reader)


def told(pipe: tuple[int, int], data: bytes) -> int:
    os.write(pipe[1], data)
    os.close(pipe[1])
    return monitor.read_pid(pipe[0], 0)


def test_a_pid(pipe: tuple[int, int]) -> None:
    assert told(pipe, b'{"data": 4711}\n') == 4711


@pytest.mark.parametrize("message", [b"it broke", b"bytes \xff", b"a\\\\b \\u0009 c"])
def test_a_failure_is_the_runtimes_own_text(pipe: tuple[int, int], message: bytes) -> None:
    with pytest.raises(monitor.RuntimeFailure):
        told(pipe, b'{"data": -1, "message": "' + message + b'\\n"}\n')


@pytest.mark.parametrize("data", [b"", b'{"da'])
def test_a_monitor_that_says_nothing(pipe: tuple[int, int], data: bytes) -> None:
    with pytest.raises(Internal, match="the monitor ended without an answer"):
        told(pipe, data)


def test_a_monitor_that_hangs_is_ended(pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(monitor, "CREATE_SECONDS", 0.01)
    child = subprocess.Popen(["sleep", "100"])
    with pytest.raises(Internal, match="has not answered"):
        monitor.read_pid(pipe[0], child.pid)
    assert child.wait(60) == -9
    os.close(pipe[1])


def test_a_monitor_inherits_nothing_but_its_pipes(directory: Path) -> None:
    script = directory / "conmon"
    lines = ("#!/bin/sh", 'ls /proc/self/fd > "$1"', 'echo "$_OCI_SYNCPIPE $TZ" >> "$1"',
             'echo x > "/proc/self/fd/$_OCI_SYNCPIPE"')  # fmt: skip
    script.write_text("\n".join(lines))
    script.chmod(0o755)
    reader, writer = os.pipe2(os.O_CLOEXEC)
    other = os.open("/dev/null", os.O_RDONLY)
    pid = monitor.Program(str(script)).spawn([str(directory / "out")], {"_OCI_SYNCPIPE": writer})
    os.close(writer)
    assert monitor.readable(reader)
    assert os.waitpid(pid, 0)[1] == 0
    *descriptors, environment = (directory / "out").read_text().splitlines()
    number, zone = environment.split()
    assert zone == "UTC0"
    assert str(other) not in set(descriptors) - {number, "3", "4"} or other < 5
    assert {"0", "1", "2", number} <= set(descriptors)
    os.close(reader)
    os.close(other)


@pytest.mark.parametrize(
    ("stdin", "once", "tty", "words"),
    [
        (False, False, False, []),
        (True, True, False, ["-i"]),
        (True, False, False, ["-i", "--leave-stdin-open"]),
        (True, True, True, ["-i", "--leave-stdin-open", "-t"]),
        (False, True, True, ["-t"]),
    ],
)
def test_who_closes_the_input(stdin: bool, once: bool, tty: bool, words: list[str]) -> None:
    assert monitor.stream_arguments(stdin, once, tty) == words


def test_the_runtimes_state_is_named(directory: Path) -> None:
    runtime = Runtime("crun", "/bin/crun", directory / "state")
    words = monitor.common_arguments(runtime, "c", directory, "none")
    assert [word for word in words if word.startswith("--runtime-arg")] == [
        "--runtime-arg=--root", f"--runtime-arg={directory}/state",
    ]  # fmt: skip


def test_a_size_for_a_monitor_that_is_gone(directory: Path) -> None:
    monitor.resize(directory, 1, 2)
    os.mkfifo(directory / "ctl")
    reader = os.open(directory / "ctl", os.O_RDONLY | os.O_NONBLOCK)
    monitor.resize(directory, 24, 80)
    assert os.read(reader, 100) == b"1 24 80\n"
    os.close(reader)
