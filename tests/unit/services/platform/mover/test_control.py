"""The lines between a mover and its platform."""

from __future__ import annotations

import socket

from services.platform.mover.control import Control


def test_requests_and_answers_are_lines() -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        control = Control(ours)
        theirs.sendall(b'{"do": "a"}\n{"do"')
        assert control.ask() == {"do": "a"}
        waiting = [control.waiting]
        theirs.sendall(b': "b"}\n{"do": "c"}\n')
        assert control.ask() == {"do": "b"}
        waiting.append(control.waiting)
        assert control.ask() == {"do": "c"}
        assert waiting == [False, True]
        control.tell(event="done", number=3)
        assert theirs.recv(100) == b'{"event": "done", "number": 3}\n'


def test_a_platform_that_is_gone_hears_nothing() -> None:
    ours, theirs = socket.socketpair()
    control = Control(ours)
    theirs.close()
    control.tell(event="done")
    assert control.ask() is None
    assert control.fileno() == -1
    control.tell(event="done")
    assert control.ask() is None
