from __future__ import annotations

import msgspec
import pytest

from services.executor.container import Container
from services.executor.registry import Registry
from shared.contracts.container import ContainerConfig, ContainerSpec, HostConfig, MountPoint
from shared.errors import NotFound


def make(container_id: str, name: str, *volumes: str) -> Container:
    mounts = tuple(MountPoint(type="volume", destination=f"/{each}", name=each) for each in volumes)
    return Container(
        ContainerSpec(
            id=container_id, name=name, created=1, config=ContainerConfig(), host_config=HostConfig(), mounts=mounts
        )
    )


def test_finding() -> None:
    registry, web, other = Registry(), make("abc1", "web"), make("abd2", "abc1x")
    for each in (web, other):
        registry.add(each)
    assert registry.find("abc1") is web
    assert registry.find("web") is registry.find("/web") is web
    assert registry.find("abc") is web
    assert registry.find("ab") is None
    assert registry.find("") is None
    assert len(registry) == 2
    with pytest.raises(NotFound, match="No such container: fish"):
        registry.get("fish")


def test_a_name_beats_the_begin_of_an_id() -> None:
    registry, web, named = Registry(), make("abc1", "web"), make("ffff", "abc")
    for each in (web, named):
        registry.add(each)
    assert registry.find("abc") is named


def test_renaming_and_going() -> None:
    registry, web = Registry(), make("abc1", "web")
    registry.add(web)
    web.spec = msgspec.structs.replace(web.spec, name="new")
    registry.renamed(web, "web")
    assert registry.find("web") is None
    assert registry.find("new") is web
    registry.discard(web)
    assert registry.find("new") is None
    assert list(registry) == []


def test_users_of_a_volume() -> None:
    registry = Registry()
    for each in (make("a", "one", "v"), make("b", "two", "v", "w")):
        registry.add(each)
    assert registry.users_of("v") == ("a", "b")
    assert registry.users_of("v", but="a") == ("b",)
    assert registry.users_of("x") == ()
