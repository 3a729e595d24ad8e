import json
import signal
import subprocess
import sys

import pytest

from tools.supervisor import child, records

PROGRAM = """
import os, sys
from pathlib import Path
from tools.supervisor import child
where = Path(sys.argv[1])
spare = os.open("/dev/null", os.O_RDONLY)
os.set_inheritable(spare, True)
def work():
{work}
pid = child.spawn("volume", where, where / "volume.log", work)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""


def run(where, work):
    """Forks from a fresh process: pytest's own has threads."""
    lines = "\n".join(f"    {line}" for line in work.splitlines())
    command = [sys.executable, "-c", PROGRAM.replace("{work}", lines), str(where)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    log = where / "volume.log"
    return done.returncode, log.read_text() if log.exists() else done.stderr


def test_a_child_has_nothing_of_its_parent_but_its_log(tmp_path):
    print_all = "print(sorted(int(n) for n in os.listdir('/proc/self/fd'))[:3], os.getsid(0) == os.getpid())"
    code, text = run(tmp_path, f"{print_all}\nprint(os.path.exists(f'/proc/self/fd/{{spare}}'))")
    assert (code, text) == (0, "[0, 1, 2] True\nFalse\n")


def test_a_child_has_written_its_record_before_it_works(tmp_path):
    code, text = run(tmp_path, "print((where / 'volume.json').read_text(), os.getpid())")
    record, pid = text.split()
    assert code == 0
    assert json.loads(record)["pid"] == int(pid)
    assert not json.loads(record)["ready"]


@pytest.mark.parametrize(("work", "code"), [("sys.exit(7)", 7), ("sys.exit('why')", 1), ("pass", 0)])
def test_the_end_of_the_work_is_the_exit_code(tmp_path, work, code):
    assert run(tmp_path, work)[0] == code


def test_an_error_is_in_the_log(tmp_path):
    code, text = run(tmp_path, "raise ValueError('no such disk')")
    assert code == 1
    assert "ValueError: no such disk" in text


def test_a_program_gets_the_usual_answer_to_broken_pipes(tmp_path):
    code, text = run(tmp_path, "child.become('/bin/sh', '-c', 'grep SigIgn /proc/self/status')")
    assert code == 0
    assert not int(text.split()[1], 16) & 1 << (signal.SIGPIPE - 1)


def test_a_program_gets_settings_where_the_environment_has_none(tmp_path):
    program = "child.become('/bin/sh', '-c', 'echo $GOGC $PATH', environment={'GOGC': '25', 'PATH': '/nowhere'})"
    code, text = run(tmp_path, program)
    assert code == 0
    assert text.split()[0] == "25"
    assert text.split()[1] != "/nowhere"


def test_forking_with_threads_is_refused(tmp_path):
    import threading

    threading_event = threading.Event()
    thread = threading.Thread(target=threading_event.wait)
    thread.start()
    try:
        with pytest.raises(RuntimeError, match="threads"):
            child.spawn("x", tmp_path, tmp_path / "x.log", lambda: None)
    finally:
        threading_event.set()
        thread.join()


SERVED = """
from shared.config import Settings
import types
for name in ("services", "services.volume", "services.volume.__main__"):
    sys.modules[name] = main = types.ModuleType(name)
main.run = lambda settings, ready: ready()
child.serve("volume", Settings(), where)
"""


def test_the_ready_callback_marks_the_record(tmp_path):
    assert run(tmp_path, SERVED)[0] == 0
    record = records.read(tmp_path, "volume")
    assert record is not None
    assert record.ready
