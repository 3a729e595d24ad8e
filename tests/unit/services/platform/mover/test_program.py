"""The mover's start."""

from __future__ import annotations

import socket
import subprocess

from services.platform.adapters import movers


def start(first: bytes) -> int:
    """The exit code of a mover with this first line."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        words = movers.python("services.platform.mover.program", "-")
        words[words.index("-c") + 1] = f"import os; os.dup2({theirs.fileno()}, 3); " + words[words.index("-c") + 1]
        mover = subprocess.Popen(words, pass_fds=(theirs.fileno(),), start_new_session=True)
        theirs.close()
        ours.sendall(first)
        ours.shutdown(socket.SHUT_WR)
        try:
            return mover.wait(60)
        finally:
            mover.kill()


def test_without_a_configuration_it_ends() -> None:
    assert start(b"") == 0


def test_a_source_that_reaches_nobody_fails() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    line = b'{"side": "source", "address": "127.0.0.1:%d", "ticket": "x", "certificates": "/nowhere", "node": "n"}\n'
    assert start(line % port) == 1
