from __future__ import annotations

import os

from services.network.proxy.poller import READ, Poller


def test_timers_come_in_their_order_unless_cancelled() -> None:
    poller, said = Poller(), []
    poller.later(0.02, poller.stop)
    poller.later(0.01, lambda: said.append("second"))
    poller.later(0.015, lambda: said.append("never")).cancel()
    poller.later(0, lambda: said.append("first"))
    poller.run()
    assert said == ["first", "second"]


def test_descriptors_are_watched_until_forgotten() -> None:
    poller, said = Poller(), []
    reading, writing = os.pipe()

    def heard(_: int) -> None:
        said.append(os.read(reading, 1))
        if said[-1] == b"b":
            poller.forget(reading)
            poller.later(0.01, poller.stop)

    poller.watch(reading, READ, heard)
    os.write(writing, b"abc")
    poller.run()
    assert said == [b"a", b"b"]
    poller.forget(reading)
    os.close(reading)
    os.close(writing)


def test_without_events_nothing_is_heard() -> None:
    poller = Poller()
    reading, writing = os.pipe()
    said: list[int] = []
    poller.watch(reading, READ, said.append)
    poller.watch(reading, 0, said.append)
    os.close(writing)
    poller.later(0.01, poller.stop)
    poller.run()
    os.close(reading)
    assert said == []
