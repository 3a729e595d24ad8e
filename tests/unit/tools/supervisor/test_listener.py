import os
import socket
import subprocess
import sys

import pytest

from shared.config import Settings
from shared.errors import FailedPrecondition
from tools.supervisor import listener


@pytest.fixture
def settings(tmp_path):
    return Settings(run_dir=str(tmp_path), socket_group="no-such-group")


def test_the_socket_accepts_and_is_closed_to_others(settings):
    with listener.listen(settings):
        assert settings.socket_path.stat().st_mode & 0o7777 == 0o660
        assert settings.socket_path.stat().st_gid == 0
        assert listener.answers(settings.socket_path)
    assert not listener.answers(settings.socket_path)
    assert os.listdir(settings.run_path) == ["docker.sock"]


def test_a_socket_that_nobody_serves_is_replaced(settings):
    listener.listen(settings).close()
    with listener.listen(settings):
        assert listener.answers(settings.socket_path)


def test_a_socket_that_somebody_serves_is_left_alone(settings):
    with listener.listen(settings) as first:
        with pytest.raises(FailedPrecondition, match="another engine listens"):
            listener.listen(settings)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(settings.socket_path))
            first.accept()[0].close()


def test_a_path_that_cannot_be_used_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(FailedPrecondition, match=str(tmp_path / "file/x.sock")):
        listener.listen(Settings(run_dir=str(tmp_path), socket=str(tmp_path / "file/x.sock")))


PROGRAM = """
import os, socket
from shared import config
from tools.supervisor import listener
with listener.listen(config.load()) as listening:
    listener.hand_over(listening)
    found = socket.socket(fileno=3)
    print(os.environ["LISTEN_FDS"], os.environ["LISTEN_PID"] == str(os.getpid()), found.getsockname())
    found.detach()
"""


def test_handing_over_follows_the_convention(tmp_path):
    environment = {**os.environ, "SHOAL_RUN_DIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split()[:2] == ["1", "True"]
    assert done.stdout.split()[2].startswith(str(tmp_path))
