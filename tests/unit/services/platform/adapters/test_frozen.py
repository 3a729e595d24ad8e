"""What is seen of processes, and what criu did to them undone."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from services.platform.adapters import frozen
from shared import hostmounts


def test_pipes_of_standard_streams() -> None:
    process = subprocess.Popen(["sleep", "1000"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    try:
        found = frozen.pipes(process.pid)
        assert process.stdout is not None
        assert found["1"] == os.readlink(f"/proc/self/fd/{process.stdout.fileno()}")
        assert "0" not in found
    finally:
        process.kill()
        process.communicate()


def test_what_was_said_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A monitor that has not read all, then one that sleeps with all read."""
    monkeypatch.setattr(frozen, "PATIENCE", 0.05)
    said = subprocess.Popen(["sh", "-c", "echo said; exec sleep 1000"], stdout=subprocess.PIPE)
    monitor = subprocess.Popen(["sleep", "1000"])
    try:
        assert said.stdout is not None
        assert select.select([said.stdout], [], [], 30)[0]
        assert not frozen.written(said.pid, monitor.pid)
        assert said.stdout.readline() == b"said\n"
        monkeypatch.setattr(frozen, "PATIENCE", 30.0)
        assert frozen.written(said.pid, monitor.pid)
        monkeypatch.setattr(frozen, "PATIENCE", 0.05)
        os.kill(monitor.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, monitor.pid, os.WSTOPPED)
        assert not frozen.written(said.pid, monitor.pid)
    finally:
        for process in (said, monitor):
            process.kill()
            process.communicate()


@pytest.fixture
def memory(tmp_path: Path):
    hostmounts.mount("x", tmp_path, "tmpfs")
    descriptor = os.open(tmp_path, os.O_PATH)
    yield tmp_path, descriptor
    os.close(descriptor)
    hostmounts.unmount(tmp_path)


def test_what_lies_in_a_tmpfs(memory) -> None:
    folder, descriptor = memory
    assert frozen.entries(descriptor) == []
    (folder / "empty").mkdir(mode=0o700)
    (folder / "link").symlink_to("there")
    os.mknod(folder / "null", 0o20666, os.makedev(1, 3))
    found = {each.name: each for each in frozen.entries(descriptor) or ()}
    assert set(found) == {"empty", "link", "null"}
    assert found["link"].target == "there"
    assert found["null"].device == os.makedev(1, 3)


@pytest.mark.parametrize("name", ["file", "socket", "fifo", "full/x", "owned"])
def test_what_is_more_than_can_be_told(memory, name: str) -> None:
    folder, descriptor = memory
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    if name == "socket":
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(str(path))
    elif name == "fifo":
        os.mkfifo(path)
    elif name == "owned":
        os.mknod(path, 0o20666, os.makedev(1, 3))
        os.chown(path, 1000, 0)
    else:
        path.touch()
    assert frozen.entries(descriptor) is None


def test_repaired_connections_speak_again() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        served, _ = listener.accept()
    with client, served:
        served.setsockopt(socket.IPPROTO_TCP, frozen.TCP_REPAIR, 1)
        with pytest.raises(PermissionError):
            served.recv(1, socket.MSG_DONTWAIT)
        frozen.end_repair(os.getpid())
        client.sendall(b"x")
        assert served.recv(1) == b"x"


def test_a_process_that_is_gone_needs_nothing() -> None:
    child = subprocess.Popen(["true"])
    child.wait()
    frozen.end_repair(child.pid)
    assert frozen.pipes(child.pid) == {}


def test_the_last_line(tmp_path: Path) -> None:
    assert frozen.last_line(tmp_path / "x") == ""
    (tmp_path / "x").write_text("a\nb\n")
    assert frozen.last_line(tmp_path / "x") == "b"
