"""No documented answer goes without a test: the swagger files against the marks of the tests beside this file."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.docker_api import swagger
from tools.docker_api.swagger import Operation

TAGS = ("Container", "Exec", "Image", "Network", "Volume", "System")
ELSEWHERE = {
    "ImageBuild": "builder",
    "BuildPrune": "builder",
    "ImageSearch": "registry",
    "ImagePush": "registry",
    "SystemAuth": "registry",
}
"""Operations whose answers need a registry or a builder: their own tests judge them."""
NOT_YET: tuple[str, ...] = ()
"""Operations that this engine answers with 501 so far, where their swagger does not document that."""
UNREACHABLE = {
    ("ContainerAttachWebsocket", 200): "a WebSocket is accepted with 101, or not at all",
    ("ImageAttestations", 501): "only 1.55 has it: provoked in test_archives.py without a mark",
    ("ImageAttestations", 200): "this store keeps no attestations: 501, as the swagger has it for such stores",
    ("ImageAttestations", 400): "answered with 501 before anything is looked at",
    ("ImageAttestations", 404): "answered with 501 before anything is looked at",
    ("PutContainerArchive", 403): "what is read-only is answered with 400, as dockerd does",
    ("NetworkDisconnect", 403): "of swarm networks; a container on the host's is refused with 400, as dockerd does",
    ("ImageTag", 409): "a tag moves to another image without a word since Docker 1.12",
    ("ImageCreate", 404): "of a pull: needs a registry",
    ("VolumeUpdate", 200): "for cluster volumes, which only a Swarm manager has",
    ("VolumeUpdate", 400): "outside a swarm every update is answered with 503",
    ("VolumeUpdate", 404): "outside a swarm every update is answered with 503",
}
"""Documented answers that no request brings about in this engine, and why."""


def marks() -> Iterator[tuple[str, int]]:
    """What the tests beside this file promise to provoke."""
    for file in Path(__file__).parent.glob("test_*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.provokes":
                operation, *statuses = (ast.literal_eval(each) for each in node.args)
                yield from ((operation, status) for status in statuses)


@pytest.mark.parametrize("version", swagger.VERSIONS)
def test_each_documented_answer_is_provoked(version: str) -> None:
    provoked = set(marks())
    missing = [
        (operation.id, status)
        for operation in swagger.load(version).operations.values()
        for status in documented(operation)
        if operation.tag in TAGS and operation.id not in (*NOT_YET, *ELSEWHERE)
        if (operation.id, status) not in provoked and (operation.id, status) not in UNREACHABLE
    ]
    assert not missing


def documented(operation: Operation) -> list[int]:
    """Without 500: that is never an answer to a request."""
    return [status for status in operation.responses if status != 500]


def test_tables_are_true() -> None:
    provoked = set(marks())
    known = {
        (operation.id, status)
        for version in swagger.VERSIONS
        for operation in swagger.load(version).operations.values()
        for status in operation.responses
    }
    assert provoked <= known
    assert set(UNREACHABLE) <= known
    assert not set(UNREACHABLE) & provoked
    assert not {operation for operation, _ in provoked} & set(NOT_YET)
