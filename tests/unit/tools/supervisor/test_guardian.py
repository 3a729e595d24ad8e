import subprocess
import sys

import pytest

PROGRAM = """
import os, select, sys
from pathlib import Path
from tools.supervisor.guardian import Guardian
where = Path(sys.argv[1])
guardian = Guardian.spawn(where, where / "guardian.log", {command!r})
{then}
select.select([guardian.pidfd], [], [], 10)
"""
PIPE_ENDS = "os.close(guardian._writing)"
DEAD = "import signal; signal.pidfd_send_signal(guardian.pidfd, 9); guardian.dismiss()"


def run(where, then, command=("/bin/sh", "-c", "echo started")):
    program = PROGRAM.format(then=then, command=command)
    subprocess.run([sys.executable, "-c", program, str(where)], timeout=60, check=True)
    log = where / "guardian.log"
    return log.read_text() if log.exists() else ""


def test_a_supervisor_is_started_when_the_pipe_ends(tmp_path):
    assert run(tmp_path, PIPE_ENDS) == "started\n"


def test_nothing_is_started_after_a_leave(tmp_path):
    assert run(tmp_path, "guardian.dismiss()") == ""


def test_leaving_a_dead_guardian_is_no_error(tmp_path):
    assert run(tmp_path, DEAD) == ""


@pytest.mark.parametrize(("ending", "starts"), [("kill -9 $$", 2), ("exit 2", 1), ("exit 0", 1)])
def test_what_was_killed_is_started_again_and_what_refuses_is_not(tmp_path, ending, starts):
    script = f"cd {tmp_path}; echo started; [ -e again ] && exit 0; touch again; {ending}"
    text = run(tmp_path, PIPE_ENDS, ["/bin/sh", "-c", script])
    assert text.count("started") == starts


def test_only_a_process_started_by_its_guardian_has_one_as_parent(tmp_path):
    ask = (
        "import sys; from pathlib import Path; from tools.supervisor.guardian import Guardian;"
        "print(Guardian.parent(Path(sys.argv[1])) is not None)"
    )
    assert run(tmp_path, PIPE_ENDS, [sys.executable, "-c", ask, str(tmp_path)]) == "True\n"
    done = subprocess.run([sys.executable, "-c", ask, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
