from __future__ import annotations

import pytest

from tools.docker_api import swagger
from tools.docker_api.campaign import judge, learn
from tools.docker_api.generate import Request
from tools.docker_api.hints import World

API = swagger.load("1.51")
JSON = {"Content-Type": "application/json"}


def asked(operation: str, method: str = "GET") -> Request:
    return Request(operation, method, "/v1.51/x")


@pytest.mark.parametrize(
    ("operation", "status", "body", "complaints"),
    [
        ("VolumeList", 200, b'{"Volumes":[]}', 0),
        ("VolumeList", 200, b'{"Volumes":5}', 1),
        ("VolumeList", 400, b'{"message":"no"}', 0),
        ("VolumeList", 400, b"no", 1),
        ("VolumeList", 400, b'{"message":""}', 1),
        ("VolumeList", 500, b'{"message":"x"}', 1),
        ("VolumeList", 501, b'{"message":"x is not implemented"}', 0),
        ("SwarmInspect", 503, b'{"message":"no swarm"}', 0),
        ("VolumeList", 503, b'{"message":"no swarm"}', 1),
        ("VolumeList", 404, b'{"message":"internal error 0123456789ab: see the log"}', 1),
    ],
)
def test_judge(operation: str, status: int, body: bytes, complaints: int) -> None:
    assert len([*judge(API, asked(operation), status, JSON, body)]) == complaints


def test_content_is_judged_by_the_version_that_was_asked() -> None:
    assert not [*judge(None, asked("VolumeList"), 200, JSON, b'{"Volumes":5}')]


def test_what_is_made_is_remembered() -> None:
    world = World("/scratch")
    learn(world, asked("ContainerCreate", "POST"), 201, b'{"Id":"c1"}')
    learn(world, asked("VolumeCreate", "POST"), 201, b'{"Name":"v1"}')
    learn(world, asked("ContainerCreate", "POST"), 400, b"{}")
    assert (world.names["containers"], world.names["volumes"]) == (["c1"], ["v1"])
