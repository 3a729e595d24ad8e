"""A client that writes without a break, checks every answer, and tells each gap; a process of its own.

`python -m tests.moves.client NAMESPACE NUMBER KEYS`: one line `ready`, then `gap SECONDS` for each longer than 20 ms,
and at the end of its input `done COMMANDS`. Any wrong or missing answer ends it with a traceback.
"""

from __future__ import annotations

import random
import select
import socket
import sys
import time

from services.platform.adapters import syscalls

from .wire import CLONE_NEWNET, SERVER

PORT = 6379
GAP_SECONDS = 0.02


class Redis:
    """One connection, in RESP (https://redis.io/docs/reference/protocol-spec)."""

    def __init__(self) -> None:
        limit = time.monotonic() + 30
        while True:
            try:
                self._socket = socket.create_connection((SERVER, PORT), 2)
                break
            except OSError:
                if time.monotonic() > limit:
                    raise
                time.sleep(0.05)
        self._socket.settimeout(60)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._answers = self._socket.makefile("rb")

    def ask(self, *words: bytes) -> bytes:
        """The first line of the answer."""
        parts = [b"$%d\r\n%s\r\n" % (len(word), word) for word in words]
        self._socket.sendall(b"*%d\r\n" % len(words) + b"".join(parts))
        return self._answers.readline()


def main() -> None:
    """Until something comes in, or its input ends."""
    namespace, number, keys = sys.argv[1], sys.argv[2].encode(), int(sys.argv[3])
    with open(namespace) as file:
        syscalls.setns(file.fileno(), CLONE_NEWNET)
    server, chosen, value = Redis(), random.Random(number), bytes(1000)
    print("ready", flush=True)
    count, last = 0, time.monotonic()
    while not select.select([sys.stdin], [], [], 0)[0]:
        count += 1
        assert server.ask(b"SET", b"key:%d" % chosen.randrange(keys), value) == b"+OK\r\n"
        answer = server.ask(b"INCR", b"counter:" + number)
        assert answer == b":%d\r\n" % count, (answer, count)
        if (gap := time.monotonic() - last) > GAP_SECONDS:
            print("gap", gap, flush=True)
        last = time.monotonic()
    print("done", count, flush=True)


if __name__ == "__main__":
    main()
