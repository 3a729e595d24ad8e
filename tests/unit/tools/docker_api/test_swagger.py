from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from tools.docker_api import swagger

ORIGINAL = {
    "1.51": "2afceffc4138e3f4a030140c14f27d4118cec99024695f53d4884c79f3a10138",
    "1.55": "4752769870dae04fc03f94eb8c136892dc5c65f6147774e00193d06d14d27478",
}


@pytest.mark.parametrize("version", swagger.VERSIONS)
def test_the_files_are_unchanged(version: str) -> None:
    file = Path(swagger.__file__).with_name(f"swagger-v{version}.yaml")
    assert hashlib.sha256(file.read_bytes()).hexdigest() == ORIGINAL[version]


def test_operations() -> None:
    assert [len(swagger.load(version).operations) for version in swagger.VERSIONS] == [107, 108]
    create = swagger.load("1.51").operations["ContainerCreate"]
    assert (create.method, create.path, create.tag) == ("POST", "/containers/create", "Container")
    assert create.names("query") == ("name", "platform")
    assert create.body is not None
    assert set(create.responses) == {201, 400, 404, 409, 500}
    assert "application/json" in create.consumes
    load = swagger.load("1.51").operations["ImageLoad"]
    assert load.consumes == ("application/x-tar",)


def test_resolve() -> None:
    api = swagger.Api(
        "0",
        {},
        {
            "A": {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]},
            "B": {
                "allOf": [{"$ref": "#/definitions/A"}, {"properties": {"b": {"type": "integer"}}, "x-nullable": True}]
            },
        },
    )
    found = api.resolve({"$ref": "#/definitions/B"})
    assert (set(found["properties"]), found["required"], found["x-nullable"]) == ({"a", "b"}, ["a"], True)
    assert api.resolve({"$ref": "#/definitions/A", "x-nullable": True})["x-nullable"]
    assert api.resolve({"type": "string"}) == {"type": "string"}
