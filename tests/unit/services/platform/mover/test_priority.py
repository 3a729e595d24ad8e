"""A process's share of the processors."""

from __future__ import annotations

import os
import subprocess
import sys

from services.platform.mover.priority import give, rush, wait_for_idle, wait_no_more


def test_it_is_raised_and_what_may_not_is_no_failure() -> None:
    raised = "import os; from services.platform.mover.priority import give; give(-7); print(os.nice(0))"
    said = subprocess.run([sys.executable, "-c", raised], capture_output=True, start_new_session=True, check=True)
    assert said.stdout.strip() == b"-7"
    child = os.fork()
    if not child:
        os.setpriority(os.PRIO_PROCESS, 0, 0)  # whatever other tests have given this process
        os.setuid(65534)
        give(-7)
        os._exit(0 if os.nice(0) == 0 else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_who_rushes_waits_for_nobody_else_where_it_may() -> None:
    for user in (0, 65534):
        child = os.fork()
        if not child:
            os.setuid(user)
            rush()
            os._exit(os.sched_getscheduler(0))
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == (os.SCHED_OTHER if user else os.SCHED_RR)


def test_who_waits_for_an_idle_processor_does_so_until_it_is_told_otherwise() -> None:
    child = subprocess.Popen(("sleep", "60"))
    wait_no_more(child.pid)
    assert os.sched_getscheduler(child.pid) == os.SCHED_OTHER
    os.sched_setscheduler(child.pid, os.SCHED_IDLE, os.sched_param(0))
    wait_no_more(child.pid)
    assert os.sched_getscheduler(child.pid) == os.SCHED_OTHER
    child.kill()
    child.wait()
    wait_no_more(child.pid)


def test_one_may_wait_oneself() -> None:
    child = os.fork()
    if not child:
        wait_for_idle()
        waits = os.sched_getscheduler(0)
        wait_no_more()
        os._exit(waits * 10 + os.sched_getscheduler(0))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == os.SCHED_IDLE * 10 + os.SCHED_OTHER
