import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from tests.support.process import running
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


def test_the_time_in_which_all_are_stopped_does_not_count(tmp_path):
    """`shoal cluster init` failed so where it, and the engine with it, had been stopped for a minute."""
    waits = """
import sys
from pathlib import Path
from tools.supervisor.watch import wait_until

def there():
    print("looks", flush=True)
    return Path(sys.argv[1], "x").exists()

sys.exit(not wait_until(Path(sys.argv[1]), there, 4))
"""
    with running([sys.executable, "-c", waits, str(tmp_path)], stdout=subprocess.PIPE) as waiting:
        assert waiting.stdout is not None
        assert waiting.stdout.readline() == b"looks\n"
        waiting.send_signal(signal.SIGSTOP)
        time.sleep(5)  # time is what it is about
        waiting.send_signal(signal.SIGCONT)
        (tmp_path / "y").touch()
        assert waiting.stdout.readline() == b"looks\n"
        threading.Timer(0.2, (tmp_path / "x").touch).start()
        assert waiting.wait(60) == 0


def test_giving_up_when_a_descriptor_ends(tmp_path):
    reading, writing = os.pipe()
    os.close(writing)
    assert not wait_until(tmp_path, lambda: False, 20, ends=[reading])
    os.close(reading)


def test_a_folder_that_is_missing_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        wait_until(tmp_path / "nowhere", lambda: False, 1)
