"""Tag Exec."""

import pytest

from tests.support.engine import Engine
from tests.support.swagger_walk import Caller

ABSENT = "f" * 64


@pytest.mark.provokes("ContainerExec", 201, 404, 409)
@pytest.mark.provokes("ExecStart", 200, 404, 409)
@pytest.mark.provokes("ExecInspect", 200, 404)
def test_exec(caller: Caller, engine: Engine, running: str) -> None:
    wanted = {"Cmd": ["echo", "hello"], "AttachStdout": True, "Env": ["A=1"], "User": "daemon", "WorkingDir": "/tmp"}
    id = caller.expect(201, "ContainerExec", id=running, body=wanted).json["Id"]
    caller.expect(200, "ExecInspect", id=id)
    started = caller.expect(200, "ExecStart", id=id, body={"Detach": False, "Tty": False})
    assert started.body[8:] == b"hello\n"
    assert caller.expect(200, "ExecInspect", id=id).json["ExitCode"] == 0
    caller.expect(404, "ContainerExec", id="no-such-container", body=wanted)
    caller.expect(404, "ExecStart", id=ABSENT, body={})
    caller.expect(404, "ExecInspect", id=ABSENT)
    later = caller.expect(201, "ContainerExec", id=running, body=wanted).json["Id"]
    engine.ok("pause", running)
    caller.expect(409, "ContainerExec", id=running, body=wanted)
    caller.expect(409, "ExecStart", id=later, body={"Detach": True})


@pytest.mark.provokes("ExecResize", 200, 400, 404)
def test_resize(caller: Caller, running: str) -> None:
    wanted = {"Cmd": ["sleep", "1000"], "Tty": True, "AttachStdout": True, "ConsoleSize": [10, 20]}
    id = caller.expect(201, "ContainerExec", id=running, body=wanted).json["Id"]
    caller.expect(200, "ExecStart", id=id, body={"Detach": True, "Tty": True})
    caller.expect(200, "ExecResize", id=id, query={"h": 30, "w": 40})
    caller.expect(400, "ExecResize", id=id, query={"h": "tall", "w": 40})
    caller.expect(404, "ExecResize", id=ABSENT, query={"h": 30, "w": 40})
