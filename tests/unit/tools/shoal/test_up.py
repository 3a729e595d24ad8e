import json
import os
import signal
import subprocess
import sys

import pytest

from tests.support.fake_engine import FakeEngine, fake_engine


@pytest.fixture
def engine(tmp_path):
    with fake_engine(tmp_path) as made:
        yield made


def shoal(engine: FakeEngine, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", "tools.shoal", *arguments]
    return subprocess.run(command, env=engine.environment, capture_output=True, text=True, timeout=60, check=False)


def test_up_status_down(engine):
    up = shoal(engine, "up")
    assert up.returncode == 0, up.stderr
    assert f"export DOCKER_HOST=unix://{engine.run_dir}/docker.sock" in up.stdout
    status = shoal(engine, "status", "--json")
    assert status.returncode == 0
    assert {one["state"] for one in json.loads(status.stdout)} == {"running"}
    assert shoal(engine, "down").stdout == "Shoal has stopped.\n"
    assert shoal(engine, "status").returncode == 3
    assert shoal(engine, "down").stdout == "Shoal was not running.\n"


def test_a_second_up_changes_nothing(engine):
    shoal(engine, "up")
    before = [engine.pid(name) for name in ("supervisor", "gateway", "executor")]
    assert shoal(engine, "up").returncode == 0
    assert [engine.pid(name) for name in ("supervisor", "gateway", "executor")] == before


def test_down_ends_what_a_dead_supervisor_left(engine):
    shoal(engine, "up")
    os.kill(engine.pid("supervisor"), signal.SIGSTOP)
    engine.kill("guardian")
    engine.kill("supervisor")
    assert shoal(engine, "down").stdout == "Shoal has stopped.\n"
    assert not any(engine.lives(name) for name in ("gateway", "executor", "broker"))


def test_a_service_that_cannot_start_is_named_with_its_log(engine):
    engine.program("services/network", "def run(settings, ready):\n    raise OSError('no nftables here')\n")
    up = shoal(engine, "up", "--timeout", "3")
    assert up.returncode == 1
    assert "network does not serve" in up.stderr
    assert "no nftables here" in up.stderr
    assert "shoal doctor" in up.stderr


def test_wrong_settings_are_one_line(engine):
    (engine.home / "shoal.toml").write_text("no_such_setting = 1\n")
    up = shoal(engine, "up")
    assert up.returncode == 1
    assert "no_such_setting" in up.stderr
    assert len(up.stderr.splitlines()) == 1
