import json
import os
import subprocess
import sys

from shared.logs import put_aside

PROGRAM = """
import logging, sys
from shared import logs
logs.LOG_BYTES = 2000
logs.configure("info")
log = logging.getLogger("x")
for number in range(int(sys.argv[1])):
    log.info("line %d", number)
try:
    raise ValueError("why")
except ValueError:
    log.exception("failed")
print("raw", file=sys.stderr)
"""


def run(path, lines):
    with open(path, "ab") as log:
        subprocess.run([sys.executable, "-c", PROGRAM, str(lines)], stderr=log, timeout=60, check=True)
    return path.read_text().splitlines()


def test_a_line_is_one_json_object(tmp_path):
    first, failed, raw = run(tmp_path / "x.log", 1)
    assert json.loads(first)["message"] == "line 0"
    assert json.loads(first)["level"] == "info"
    assert "ValueError: why" in json.loads(failed)["trace"]
    assert raw == "raw"


def test_a_full_log_is_put_aside_and_loses_no_line(tmp_path):
    now = run(tmp_path / "x.log", 30)
    before = (tmp_path / "x.log.1").read_text().splitlines()
    messages = [json.loads(line)["message"] for line in (before + now)[:-1]]
    assert messages == [*(f"line {number}" for number in range(30)), "failed"][-len(messages) :]
    assert (tmp_path / "x.log").stat().st_size < 2500
    assert now[-1] == "raw"


def test_what_is_no_file_is_left_alone():
    reading, writing = os.pipe()
    os.write(writing, b"x" * 100)
    put_aside(writing, 10)
    assert os.read(reading, 1000) == b"x" * 100
    os.close(reading)
    os.close(writing)


def test_a_file_that_was_removed_goes_on(tmp_path):
    path = tmp_path / "x.log"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
    os.write(descriptor, b"x" * 100)
    path.unlink()
    put_aside(descriptor, 10)
    assert os.fstat(descriptor).st_size == 100
    os.close(descriptor)


AGAIN = """
import logging, os
from shared import logs
logs.configure("info")
first = list(logging.getLogger().handlers)
if not os.fork():
    logs.configure("info")
    same = logging.getLogger().handlers[0] is first[0]
    logs.configure("debug")
    print(same, logging.getLogger().handlers[0] is first[0], logging.getLogger().level, flush=True)
    os._exit(0)
os.wait()
"""


def test_a_fork_goes_on_as_its_parent_unless_the_level_is_another():
    done = subprocess.run([sys.executable, "-c", AGAIN], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "True False 10\n", done.stderr
