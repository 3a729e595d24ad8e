from __future__ import annotations

import re

import pytest

from tools.docker_api import swagger
from tools.docker_api.deviations import DEVIATIONS, wrong

API = swagger.load("1.51")
JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("operation", "status", "headers", "body", "expected"),
    [
        ("VolumeList", 200, JSON, b'{"Volumes":[],"Warnings":null}', []),
        ("VolumeList", 200, JSON, b'{"Volumes":5}', ["$.Volumes: int instead of array"]),
        ("VolumeList", 200, {}, b'{"Volumes":[]}', ["Content-Type None"]),
        ("VolumeList", 500, JSON, b'{"message":"x"}', []),
        ("VolumeList", 500, JSON, b'{"error":"x"}', ["$.message: is missing", "$.error: is not in the schema"]),
        ("ContainerStart", 204, {}, b"", []),
        ("ContainerStart", 304, {}, b"x", ["a body: b'x'"]),
        ("ContainerLogs", 200, {}, b"\x01", []),
        ("SystemEvents", 200, JSON, b'{"Type":"container"}\n{"Type":5}', ["$.Type: int instead of string"]),
    ],
)
def test_wrong(operation: str, status: int, headers: dict[str, str], body: bytes, expected: list[str]) -> None:
    assert [*wrong(API, API.operations[operation], status, headers, body)] == expected


def test_what_the_swagger_requires_and_never_describes() -> None:
    body = b'[{"Manifests":[{"ImageData":{"Size":{}}}]}]'
    found = [*wrong(API, API.operations["ImageList"], 200, JSON, body)]
    assert "$[].Manifests[].ImageData.Platform: is missing" in found
    assert not [each for each in found if "UnpackedSize" in each]


def test_the_table_names_operations_and_reasons() -> None:
    known = {id for version in swagger.VERSIONS for id in swagger.load(version).operations}
    for operation, text, reason in DEVIATIONS:
        assert any(re.fullmatch(operation, id) for id in known), operation
        assert re.compile(text)
        assert reason
