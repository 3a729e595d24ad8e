import pytest

from shared.config import Settings
from tools.doctor import runtimes
from tools.doctor.findings import Level


def levels(settings):
    return {finding.subject: finding.level for finding in runtimes.check(settings)}


def test_an_empty_prefix_lacks_every_part(tmp_path):
    found = levels(Settings(runtime_prefix=str(tmp_path)))
    assert {found[name] for name in ("crun", "conmon", "criu")} == {Level.WRONG}
    assert found["nats-server"] is Level.OK
    assert found["python"] is Level.OK


def test_an_external_broker_needs_no_program(tmp_path):
    assert "nats-server" not in levels(Settings(runtime_prefix=str(tmp_path), nats_url="nats://x:4222"))


def test_a_runtime_that_is_not_there_is_a_warning(tmp_path):
    settings = Settings(runtime_prefix=str(tmp_path), runtimes={"kata": "/nonexistent/kata"})
    assert levels(settings)["runtime kata"] is Level.WARNING


@pytest.mark.parametrize(
    ("name", "version", "warned"),
    [
        ("runc", "1.1.5", True),
        ("runc", "1.2.8", False),
        ("runc", "1.3.0", False),
        ("crun", "1.21", True),
        ("x", "0", False),
    ],
)
def test_runtimes_older_than_their_last_security_release_are_warned_of(name, version, warned):
    assert bool(list(runtimes.judge_security(name, version))) == warned


def test_versions_of_python_and_broker():
    assert runtimes.judge_python((3, 9)).level is Level.WRONG
    assert runtimes.judge_python((3, 13)).level is Level.OK
    assert runtimes.judge_broker((2, 9, 10)).level is Level.WRONG
