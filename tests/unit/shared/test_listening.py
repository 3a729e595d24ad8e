import os
import socket
import subprocess
import sys

import pytest

from shared import listening
from shared.errors import FailedPrecondition


def test_the_socket_accepts_and_is_closed_to_others(tmp_path):
    path = tmp_path / "new" / "docker.sock"
    with listening.bind(path, "no-such-group"):
        assert path.stat().st_mode & 0o7777 == 0o660
        assert path.stat().st_gid == 0
        assert listening.answers(path)
    assert not listening.answers(path)
    assert os.listdir(path.parent) == ["docker.sock"]


def test_a_socket_that_nobody_serves_is_replaced(tmp_path):
    listening.bind(tmp_path / "s", "root").close()
    with listening.bind(tmp_path / "s", "root"):
        assert listening.answers(tmp_path / "s")


def test_a_socket_that_somebody_serves_is_left_alone(tmp_path):
    with listening.bind(tmp_path / "s", "root") as first:
        with pytest.raises(FailedPrecondition, match="is served by another process"):
            listening.bind(tmp_path / "s", "root")
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(tmp_path / "s"))
            first.accept()[0].close()


def test_a_path_that_cannot_be_used_is_named(tmp_path):
    path = tmp_path / ("long" * 30) / "s"
    with pytest.raises((FailedPrecondition, OSError), match="long"):
        listening.bind(path, "root")


PROGRAM = """
import sys
from pathlib import Path
from shared import listening
path = Path(sys.argv[1])
made = listening.bind(path, "root")
listening.hand_over(made)
print(listening.inherited(path.with_name("other")) is None)
found = listening.inherited(path)
print(found is not None and found.getblocking() is False)
print(listening.inherited(path) is None)
found.detach()
made.detach()
"""


def test_what_is_handed_over_is_taken_once_and_for_its_path_only(tmp_path):
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "docker.sock")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "True\nTrue\nTrue\n"), done.stderr


def test_nothing_is_inherited_from_another_process(tmp_path, monkeypatch):
    monkeypatch.setenv("LISTEN_FDS", "1")
    monkeypatch.setenv("LISTEN_PID", "1")
    assert listening.inherited(tmp_path / "docker.sock") is None
