"""A poller that runs beside the test."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from services.network.proxy.poller import Poller


class Running(Poller):
    """Calls come from its own thread, as in the proxy."""

    def do(self, call: Callable[[], object]) -> None:
        """Does it there, and waits until it is done."""
        done = threading.Event()

        def work() -> None:
            call()
            done.set()

        self._calls.append(work)
        assert done.wait(60)

    def run(self) -> None:
        self._calls: list[Callable[[], None]] = []
        self.later(0, self._look)
        super().run()

    def _look(self) -> None:
        while self._calls:
            self._calls.pop(0)()
        self.later(0.005, self._look)


@pytest.fixture
def poller() -> Iterator[Running]:
    made = Running()
    thread = threading.Thread(target=made.run)
    thread.start()
    while not hasattr(made, "_calls"):
        continue
    yield made
    made.do(made.stop)
    thread.join()
