from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from tools.docker_api.generate import Generator, Request
from tools.docker_api.hints import World
from tools.docker_api.swagger import VERSIONS, load


def made(count: int, seed: int = 1, **more: Any) -> list[Request]:
    generator = Generator(load("1.51"), seed, World("/scratch", **more))
    return [generator.request(number) for number in range(count)]


def test_the_same_seed_makes_the_same_requests() -> None:
    assert made(50) == made(50)
    assert made(50) != made(50, seed=2)


@pytest.mark.parametrize("version", VERSIONS)
def test_every_operation_comes(version: str) -> None:
    api = load(version)
    generator = Generator(api, 3, World("/scratch"))
    seen = Counter(generator.request(number).operation for number in range(3000))
    assert set(seen) == set(api.operations)
    assert Generator(api, 3, World("/scratch"), without=tuple(set(api.operations) - {"SystemPing"})).request(1).method


def test_requests_can_be_sent() -> None:
    for request in made(500):
        assert request.target.isascii()
        assert " " not in request.target
        assert request.target.startswith("/v1.")
        assert "{" not in request.target.partition("?")[0]
        assert str(request).startswith(request.method)


def test_most_bodies_are_objects_of_the_schema() -> None:
    bodies = [request.body for request in made(2000) if request.operation == "ContainerCreate"]
    objects = []
    for body in bodies:
        try:
            objects.append(json.loads(body or b"5"))
        except ValueError:
            continue
    good = [each for each in objects if isinstance(each, dict) and each.get("Image") == "busybox"]
    assert len(good) > len(bodies) * 0.6


def test_guarded_fields_get_no_free_text() -> None:
    for request in made(3000):
        if request.operation == "ContainerCreate" and request.body:
            try:
                host = json.loads(request.body).get("HostConfig")
            except (ValueError, AttributeError):
                continue
            if isinstance(host, dict):
                assert host.get("CgroupParent") in (None, "")
                for mount in host.get("Mounts") or [] if isinstance(host.get("Mounts"), list) else []:
                    source = mount.get("Source") if isinstance(mount, dict) else None
                    assert not source or not source.startswith("/") or source.startswith("/scratch")
