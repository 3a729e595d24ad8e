from shared.config import Settings
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
