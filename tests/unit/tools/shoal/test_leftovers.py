import subprocess
from contextlib import contextmanager

import pytest

from shared import hostmounts
from shared.config import Settings
from tests.support.process import running
from tools.shoal.leftovers import containers_go_on, is_mount, take_back


@pytest.fixture
def settings(tmp_path):
    made = Settings(run_dir=str(tmp_path / "run"), state_dir=str(tmp_path / "state"))
    made.run_path.mkdir()
    yield made
    take_back(made)


def test_an_engine_that_mounted_nothing_leaves_nothing(settings):
    assert take_back(settings) == []


def test_shared_folders_are_taken_back(settings):
    hostmounts.mount(str(settings.run_path), settings.run_path, flags=hostmounts.MS_BIND)
    assert is_mount(settings.run_path)
    assert take_back(settings) == [settings.run_path]
    assert not is_mount(settings.run_path)


def test_mounts_on_mounts_are_taken_back(settings):
    for _ in range(2):
        hostmounts.mount("tmpfs", settings.run_path, "tmpfs")
    assert take_back(settings) == [settings.run_path] * 2
    assert not is_mount(settings.run_path)


@contextmanager
def process(settings, program):
    """A process with a path of the run folder among its arguments, which has got as far as to speak."""
    command = [program, "-c", "echo; read x", f"{settings.run_path}/bundle"]
    with running(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as made:
        assert made.stdout is not None
        made.stdout.readline()
        yield


def test_they_stay_while_a_container_goes_on(settings, tmp_path):
    hostmounts.mount(str(settings.run_path), settings.run_path, flags=hostmounts.MS_BIND)
    (tmp_path / "conmon").symlink_to("/bin/sh")  # a process is called by the name it was executed by
    with process(settings, "/bin/sh"):
        assert not containers_go_on(settings)
    with process(settings, tmp_path / "conmon"):
        assert containers_go_on(settings)
        assert take_back(settings) == []
        assert is_mount(settings.run_path)
