import os
import subprocess

import msgspec
import pytest

from shared.config import Settings
from tools.shoal.processes import names, processes, proportional_set_size, services_ready, unready
from tools.supervisor import plan, records


@pytest.fixture
def settings(tmp_path):
    made = Settings(run_dir=str(tmp_path / "run"), state_dir=str(tmp_path / "state"))
    records.make_folder(made)
    return made


def test_an_engine_that_never_ran_is_all_stopped(settings):
    assert {one.state for one in processes(settings)} == {"stopped"}
    assert unready(processes(settings)) == names(settings)
    assert not services_ready(settings)


def test_an_external_broker_is_no_process_of_ours():
    assert plan.BROKER not in names(Settings(nats_url="nats://elsewhere:4222"))
    assert plan.BROKER in names(Settings())


@pytest.mark.parametrize(("ready", "state"), [(False, "starting"), (True, "running")])
def test_a_living_process_has_its_figures(settings, ready, state):
    records.write(records.folder(settings), records.of_this_process("executor", ready))
    (found,) = (one for one in processes(settings) if one.name == "executor")
    assert (found.pid, found.state) == (os.getpid(), state)
    assert found.memory_bytes > 1_000_000
    assert found.uptime_s > 0


def test_looking_makes_no_folders(tmp_path):
    settings = Settings(run_dir=str(tmp_path / "run"), state_dir=str(tmp_path / "state"))
    assert len(processes(settings)) == len(names(settings))
    assert list(tmp_path.iterdir()) == []


def test_all_services_ready_means_each_of_them(settings):
    for name in (*plan.SERVICES, plan.GATEWAY):
        assert not services_ready(settings)
        records.write(records.folder(settings), records.of_this_process(name, ready=True))
    assert services_ready(settings)


def test_who_rests_serves_whoever_calls_but_costs_nothing(settings):
    for name in (*plan.SERVICES, plan.GATEWAY):
        records.write(records.folder(settings), records.of_this_process(name, ready=True))
    with subprocess.Popen(["true"]) as process:
        process.wait()
    record = records.Record(name="builder", pid=process.pid, started=1, boot=records.boot_id(), resting=True)
    records.write(records.folder(settings), record)
    assert services_ready(settings)
    (found,) = (one for one in processes(settings) if one.name == "builder")
    assert (found.state, found.pid, found.memory_bytes) == ("resting", 0, 0)
    assert "builder" not in unready(processes(settings))
    records.write(records.folder(settings), msgspec.structs.replace(record, boot="an earlier one"))
    assert not services_ready(settings)
    assert "builder" in unready(processes(settings))


def test_memory_of_a_process_that_is_gone_is_nothing():
    with subprocess.Popen(["true"]) as process:
        process.wait()
    assert proportional_set_size(process.pid) == 0


def test_a_supervisor_that_systemd_looks_after_has_no_guardian(settings):
    where = records.folder(settings)
    records.write(where, records.of_this_process("supervisor", ready=True))
    assert "guardian" not in [one.name for one in processes(settings)]
    records.write(where, records.Record(name="guardian", pid=1, started=0, boot=""))
    assert "guardian" in unready(processes(settings))
