from shared.bus import MemoryBroker
from shared.config import Settings
from shared.contracts.base import Contract
from shared.testing import kernel, serving
from tools.doctor import engine
from tools.doctor.findings import Level
from tools.shoal.processes import Process
from tools.supervisor.plan import GATEWAY, SERVICES


def process(name: str, state: str) -> Process:
    return Process(name=name, pid=1, state=state, uptime_s=1, memory_bytes=1_000_000)


def test_an_engine_that_does_not_run_is_no_fault(tmp_path):
    (finding,) = engine.check(Settings(run_dir=str(tmp_path), state_dir=str(tmp_path)))
    assert finding.level is Level.WARNING
    assert finding.remedy == "shoal up"


def test_a_missing_process_is_wrong():
    (finding,) = engine.judge_processes([process("gateway", "running"), process("executor", "stopped")])
    assert finding.level is Level.WRONG
    assert finding.text == "executor not running"


def test_the_cost_of_a_whole_engine_is_told():
    (finding,) = engine.judge_processes([process("gateway", "running"), process("executor", "running")])
    assert finding.text == "2 processes, 2 MB"


async def test_without_a_broker_nobody_answers(tmp_path):
    settings = Settings(run_dir=str(tmp_path), state_dir=str(tmp_path))
    answers = await engine.ping(settings)
    assert set(answers) == {GATEWAY, *SERVICES}
    assert all("no connection to the broker" in problem for problem in answers.values())


def test_answers():
    assert engine.judge_answer("network", "").level is Level.OK
    assert engine.judge_answer("network", "nobody answers").level is Level.WRONG
    assert engine.judge_api("/run/x", "no engine answers at /run/x").level is Level.WRONG


async def test_a_service_of_another_host_does_not_answer_for_this_one(tmp_path, monkeypatch):
    monkeypatch.setattr(engine, "SECONDS", 0.1)
    broker, contract = MemoryBroker(), Contract(name="volume", version="v1", summary="Volumes.")
    async with (
        kernel("tool", tmp_path / "a", broker) as own,
        kernel("volume", tmp_path / "b", broker, node="node2") as other,
        serving(other, contract, object()),
    ):
        assert await engine.answers(own.bus, "volume") == "nobody on this host in 0 s"
        async with serving(own, contract, object()):
            assert await engine.answers(own.bus, "volume") == ""
