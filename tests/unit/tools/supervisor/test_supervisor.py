import os
import select
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from shared import cluster, resting
from shared.cluster import Membership
from shared.config import Settings
from tests.support.fake_engine import FakeEngine, fake_engine
from tests.support.process import running
from tools.supervisor.broker import accepts
from tools.supervisor.plan import CLUSTERED, GATEWAY, SERVICES

ALL = ("broker", "guardian", "supervisor", GATEWAY, *SERVICES)


@pytest.fixture
def engine(tmp_path):
    with fake_engine(tmp_path) as made:
        yield made


def ask_gateway(engine: FakeEngine) -> int:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(60)
        client.connect(str(engine.run_dir / "docker.sock"))
        return int(client.recv(100))


def is_warm(engine: FakeEngine) -> bool:
    """Whether the supervisor holds what services need, 20 MB."""
    return "uvloop" in Path(f"/proc/{engine.pid('supervisor')}/maps").read_text()


def test_everything_runs_and_ends_in_order(engine):
    supervisor = engine.start()
    assert ask_gateway(engine) == engine.pid(GATEWAY)
    engine.until(lambda: accepts(int((engine.state_dir / "broker/port").read_text())))  # the others do not wait for it
    pids = [engine.pid(name) for name in ALL]
    supervisor.send_signal(signal.SIGTERM)
    assert supervisor.wait(60) == 0
    assert [engine.record(name) for name in ALL] == [{}] * len(ALL)
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


@pytest.mark.parametrize("name", [GATEWAY, "executor", "broker", "guardian"])
def test_a_killed_process_is_back(engine, name):
    engine.start()
    engine.back(name, engine.kill(name))
    assert ask_gateway(engine) == engine.pid(GATEWAY)


def test_a_client_that_comes_while_the_gateway_is_dead_waits_and_is_served(engine):
    engine.start()
    old = engine.kill(GATEWAY)
    assert ask_gateway(engine) != old


def test_the_guardian_starts_another_without_touching_the_rest(engine):
    engine.start()
    before = {name: engine.pid(name) for name in ("broker", "guardian", GATEWAY, *SERVICES)}
    assert is_warm(engine)
    engine.back("supervisor", engine.kill("supervisor"))
    assert {name: engine.pid(name) for name in before} == before
    assert not is_warm(engine)
    engine.back(GATEWAY, engine.kill(GATEWAY))
    assert is_warm(engine)
    engine.back("supervisor", engine.kill("supervisor"))
    assert ask_gateway(engine) == engine.pid(GATEWAY)


@pytest.mark.parametrize("rounds", [["supervisor", "guardian"], ["guardian", "supervisor"]])
def test_supervisor_and_guardian_may_die_in_turns(engine, rounds):
    engine.start()
    for name in rounds * 2:
        engine.back(name, engine.kill(name))
    engine.back("volume", engine.kill("volume"))
    assert engine.lives("guardian")


def test_a_supervisor_killed_while_it_starts_is_started_again(engine):
    engine.start()
    guardian = engine.pid("guardian")
    old = engine.kill("supervisor")
    children = Path(f"/proc/{guardian}/task/{guardian}/children")
    while not children.read_text():
        os.sched_yield()
    os.kill(int(children.read_text().split()[0]), signal.SIGKILL)
    engine.back("supervisor", old)
    assert engine.pid("guardian") == guardian


def test_stopping_ends_a_guardian_that_has_started_a_supervisor(engine):
    engine.start()
    engine.back("supervisor", engine.kill("supervisor"))
    guardian = os.pidfd_open(engine.pid("guardian"))
    os.kill(engine.pid("supervisor"), signal.SIGTERM)
    assert select.select([guardian], [], [], 20)[0]
    os.close(guardian)
    assert not Path(engine.records / "gateway.json").exists()


def test_with_supervisor_and_guardian_dead_a_new_start_finds_the_rest(engine):
    engine.start()
    before = engine.pid("executor")
    os.kill(engine.pid("supervisor"), signal.SIGSTOP)  # or it would have another guardian at once
    engine.kill("guardian")
    engine.kill("supervisor")
    engine.start()
    assert engine.pid("executor") == before


def test_a_second_supervisor_refuses_and_harms_nothing(engine):
    engine.start()
    command = [sys.executable, "-P", "-m", "tools.supervisor"]
    second = subprocess.run(command, env=engine.environment, capture_output=True, text=True, timeout=60, check=False)
    assert second.returncode == 2
    assert "another supervisor holds" in second.stderr
    assert ask_gateway(engine) == engine.pid(GATEWAY)


def test_a_crash_loop_is_slowed_and_named(engine):
    engine.program("services/volume", "def run(settings, ready):\n    ready()\n    raise ValueError('no disk')\n")
    command = [sys.executable, "-P", "-m", "tools.supervisor"]
    with running(command, env=engine.environment, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        line = next(line for line in process.stderr if b"times in a row" in line)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    assert b"volume ended 5 times in a row soon after its start" in line
    assert "ValueError: no disk" in (engine.state_dir / "log/volume.log").read_text()


def test_a_socket_in_use_is_refused_before_anything_starts(engine):
    engine.run_dir.mkdir()
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(engine.run_dir / "docker.sock"))
        other.listen()
        command = [sys.executable, "-P", "-m", "tools.supervisor"]
        done = subprocess.run(command, env=engine.environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "is served by another process" in done.stderr
    assert engine.record("broker") == {}


def test_without_a_guardian_somebody_else_starts_the_next_supervisor(engine):
    engine.start("--no-guardian", guarded=False)
    assert engine.record("guardian") == {}
    gateway = engine.pid(GATEWAY)
    engine.kill("supervisor")
    engine.start("--no-guardian", guarded=False)
    assert engine.pid(GATEWAY) == gateway


RESTS = """
import signal
import shared.service

def run(settings, ready):
    numbers = (signal.SIGTERM, signal.SIGUSR1)
    signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    ready()
    signal.sigwait(numbers)
    shared.service.rested()
"""


def rest(engine: FakeEngine) -> int:
    """Lets the builder rest; returns the number it had."""
    pid = engine.pid("builder")
    ended = os.pidfd_open(pid)
    os.kill(pid, signal.SIGUSR1)
    engine.until(lambda: engine.record("builder")["resting"])
    assert select.select([ended], [], [], 60)[0], "which no record tells"
    os.close(ended)
    return pid


def test_who_rests_is_started_when_it_is_wanted(engine):
    engine.program("services/builder", RESTS)
    settings = Settings(run_dir=str(engine.run_dir), state_dir=str(engine.state_dir))
    supervisor = engine.start()
    old = rest(engine)
    engine.back("volume", engine.kill("volume"))  # whoever dies is started again, and it is not
    assert engine.pid("builder") == old
    assert resting.want(settings, "builder")
    engine.back("builder", old)
    old = rest(engine)
    engine.back("supervisor", engine.kill("supervisor"))
    engine.back("volume", engine.kill("volume"))
    assert engine.pid("builder") == old, "the next supervisor lets it rest, too"
    assert resting.want(settings, "builder")
    engine.back("builder", old)
    engine.back("builder", engine.kill("builder"))  # which is no rest
    rest(engine)
    os.kill(engine.pid("supervisor"), signal.SIGTERM)
    supervisor.wait(60)
    engine.until(lambda: [engine.record(name) for name in ALL] == [{}] * len(ALL))


def test_who_rested_is_started_when_the_host_enters_a_cluster(engine):
    for name in ("builder", *CLUSTERED):
        engine.program(f"services/{name}", RESTS)
    engine.start()
    old = rest(engine)
    place = "127.0.0.1:9"  # nobody is there: its broker cannot serve, and nothing here asks it
    cluster.save(engine.state_dir, Membership(cluster="c1", address=place, hubs=(place,)))
    engine.back("builder", old)
    assert engine.lives("builder")
