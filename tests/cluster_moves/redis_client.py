"""Runs in a container: SET and INCR in turn over one connection, every answer checked, every longer gap noted.

Until `/stop` is there; then one line of JSON: how many answers, and the gaps as pairs of end (seconds since 1970) and
length (milliseconds). Exit code 1 with the reason when an answer is wrong or the connection ends.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import time

NOTED = 15.0
"""Milliseconds from which on a gap is noted."""


def main() -> int:
    connection = socket.create_connection((sys.argv[1], 6379))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    answers = connection.makefile("rb")
    gaps, counted, last, value = [], 0, time.monotonic(), b"x" * 1000
    while True:
        key = b"w%d" % (counted % 2000)
        connection.sendall(b"*3\r\n$3\r\nSET\r\n$%d\r\n%s\r\n$1000\r\n%s\r\n" % (len(key), key, value))
        if (answer := answers.readline()) != b"+OK\r\n":
            return _wrong(counted, answer)
        connection.sendall(b"*2\r\n$4\r\nINCR\r\n$1\r\nn\r\n")
        counted += 1
        if (answer := answers.readline()) != b":%d\r\n" % counted:
            return _wrong(counted, answer)
        now = time.monotonic()
        if (gap := (now - last) * 1000) > NOTED:
            gaps.append((round(time.time(), 3), round(gap, 1)))
        last = now
        if counted % 64 == 0 and os.path.exists("/stop"):
            print(json.dumps({"answers": counted, "gaps": gaps}))
            return 0


def _wrong(counted: int, answer: bytes) -> int:
    print(f"after {counted} answers: {answer[:200]!r}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
