import subprocess
import sys

PROGRAM = """
import os, sys
from pathlib import Path
from tools.supervisor.standby import Standby
where = Path(sys.argv[1])
standby = Standby(where, where / "standby.log", ["/bin/echo", "took over"])
{then}
os.waitpid(standby.pid, 0)
"""


def run(where, then):
    command = [sys.executable, "-c", PROGRAM.replace("{then}", then), str(where)]
    subprocess.run(command, timeout=20, check=True)
    log = where / "standby.log"
    return log.read_text() if log.exists() else ""


def test_the_standby_takes_over_when_the_pipe_ends(tmp_path):
    assert run(tmp_path, "standby.forget()") == "took over\n"


def test_the_standby_leaves_when_dismissed(tmp_path):
    assert run(tmp_path, "standby.dismiss()") == ""


DEAD = "os.kill(standby.pid, 9); os.waitid(os.P_PID, standby.pid, os.WEXITED | os.WNOWAIT); standby.dismiss()"


def test_dismissing_a_dead_standby_is_no_error(tmp_path):
    assert run(tmp_path, DEAD) == ""
