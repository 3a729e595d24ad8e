from __future__ import annotations

import subprocess
import sys

from services.platform.adapters import writing

HOLDS = """
import os, sys
data = bytearray(os.urandom(1 << 24))
print("ready", flush=True)
for line in sys.stdin:
    for place in range(0, len(data), 4096):
        data[place] ^= 1
    print("written", flush=True)
"""


def test_what_is_written_between_two_looks_is_seen() -> None:
    words = [sys.executable, "-c", HOLDS]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.readline()
        chosen = writing.places([process.pid])
        assert len(chosen) == writing.PAGES
        first = writing.look(chosen)
        assert writing.rate(first, writing.look(chosen), 1 << 24, 0.5) < 1 << 22
        process.stdin.write("now\n")
        process.stdin.flush()
        process.stdout.readline()
        assert writing.rate(first, writing.look(chosen), 1 << 24, 0.5) > 1 << 24
        process.kill()


def test_what_has_ended_is_left_out() -> None:
    assert writing.places([0]) == []
    assert writing.look([(0, 4096)]) == {}
    assert writing.rate({}, {}, 1 << 20, 1) == 0


def test_a_rate_is_of_all_memory() -> None:
    first = {(1, page): 0 for page in range(4)}
    assert writing.rate(first, {**first, (1, 0): 1}, 400, 0.5) == 200
