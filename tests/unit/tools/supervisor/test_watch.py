import os
import threading

import pytest

from tools.supervisor.watch import wait_until


def test_what_holds_already_is_not_waited_for(tmp_path):
    assert wait_until(tmp_path, lambda: True, 0)


def test_a_new_file_wakes(tmp_path):
    thread = threading.Timer(0.05, (tmp_path / "x").touch)
    thread.start()
    assert wait_until(tmp_path, (tmp_path / "x").exists, 20)
    thread.join()


def test_giving_up_after_the_time(tmp_path):
    assert not wait_until(tmp_path, lambda: False, 0.01)


def test_giving_up_when_a_descriptor_ends(tmp_path):
    reading, writing = os.pipe()
    os.close(writing)
    assert not wait_until(tmp_path, lambda: False, 20, ends=[reading])
    os.close(reading)


def test_a_folder_that_is_missing_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        wait_until(tmp_path / "nowhere", lambda: False, 1)
