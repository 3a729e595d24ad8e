"""The time limit of a test, enforced for sure.

pytest-timeout raises once, in the main thread, and not at all while fixtures are taken down after a failure: a test
that then waits on its way out (for a client that is still attached, for a thread) waits for ever, and so does one on
uvloop, which logs what strikes it. Here the limit strikes again and again until the test has ended, and from the second
time on what the test has started is killed.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType

import pytest
import pytest_timeout
from _pytest.outcomes import Failed

from tools.bench.processes import tree

AGAIN_SECONDS = 20.0
EXIT_SECONDS = 60.0
HUNG_AT_EXIT = 3
"""Exit code of a run whose interpreter does not end by itself and that had nothing worse to tell."""
_PROCESSES = pytest.StashKey[set[int]]()


class TimedOut(Failed, SystemExit):
    """A failure that event loops hand on: what is not SystemExit they log, uvloop wherever it strikes, and go on."""


class Limit:
    """Strikes in the main thread when the time is over, and then again and again, until it is cancelled."""

    def __init__(self, item: pytest.Item, settings: pytest_timeout.Settings) -> None:
        self._item, self._settings = item, settings
        self._strikes = 0
        signal.signal(signal.SIGALRM, self._strike)
        signal.setitimer(signal.ITIMER_REAL, settings.timeout, min(AGAIN_SECONDS, settings.timeout))

    def cancel(self) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)

    def _strike(self, number: int, frame: FrameType | None) -> None:
        __tracebackhide__ = True
        self._strikes += 1
        if self._strikes > 1:
            self._kill_what_was_started()
        try:
            pytest_timeout.timeout_sigalrm(self._item, self._settings)
        except Failed as failure:
            raise TimedOut(failure.msg) from None

    def _kill_what_was_started(self) -> None:
        """By the test's own body: what fixtures have started may be for other tests, too."""
        if (before := self._item.stash.get(_PROCESSES, None)) is not None:
            _kill(_processes() - before)


def _processes() -> set[int]:
    """This one and all below it."""
    return set(tree([os.getpid()]))


def _kill(pids: set[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


class Limits:
    """The plugin."""

    def __init__(self) -> None:
        self._status = 0

    @pytest.hookimpl(tryfirst=True)
    def pytest_timeout_set_timer(self, item: pytest.Item, settings: pytest_timeout.Settings) -> bool:
        item.cancel_timeout = Limit(item, settings).cancel  # type: ignore[attr-defined]  # pytest-timeout calls it
        return True

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Iterator[None]:
        item.stash[_PROCESSES] = _processes()
        return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Iterator[None]:
        """Taking down has a limit of its own: a failure has cancelled the test's."""
        hooks, settings = item.config.pluginmanager.hook, pytest_timeout._get_item_settings(item)
        if settings.timeout:
            hooks.pytest_timeout_cancel_timer(item=item)
            hooks.pytest_timeout_set_timer(item=item, settings=settings)
        return (yield)

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        self._status = int(exitstatus)

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self) -> None:
        """The interpreter waits for threads at its end: for one that hangs not for ever."""
        timer = threading.Timer(EXIT_SECONDS, self._leave)
        timer.daemon = True
        timer.start()

    def _leave(self) -> None:
        sys.stderr.write(f"the run does not end; pid {os.getpid()}, {len(threading.enumerate())} threads\n")
        faulthandler.dump_traceback(all_threads=True)
        _kill(_processes() - {os.getpid()})
        os._exit(self._status or HUNG_AT_EXIT)
