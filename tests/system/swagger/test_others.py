"""The tags that this engine has nothing for: a Docker engine outside a swarm, without plugins."""

from __future__ import annotations

import pytest

from tests.support.swagger_walk import Caller
from tools.docker_api import swagger

SWARM = ("Swarm", "Node", "Service", "Task", "Secret", "Config")
NOT_HERE = {
    "SwarmInit": (501, "swarm mode is not implemented"),
    "SwarmJoin": (501, "swarm mode is not implemented"),
    "SwarmLeave": (503, "This node is not part of a swarm"),
}
MANAGER = (503, 'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join"')
PLUGINS = {
    "GetPluginPrivileges": 501,
    "PluginPull": 501,
    "PluginCreate": 501,
    "PluginInspect": 404,
    "PluginDelete": 404,
    "PluginEnable": 404,
    "PluginDisable": 404,
    "PluginUpgrade": 404,
    "PluginPush": 404,
    "PluginSet": 404,
}


def operations(*tags: str) -> list[str]:
    return [each.id for each in swagger.load(swagger.VERSIONS[-1]).operations.values() if each.tag in tags]


@pytest.mark.parametrize("operation", operations(*SWARM))
def test_outside_a_swarm(caller: Caller, operation: str) -> None:
    status, text = NOT_HERE.get(operation, MANAGER)
    wanted = caller.api.operations[operation]
    body: object = {} if wanted.body is not None else None
    path = dict.fromkeys(wanted.names("path"), "x")
    answer = caller.expect(status, operation, body=body, query={"version": 1}, **path)
    assert answer.message.startswith(text)


@pytest.mark.parametrize("operation", PLUGINS)
def test_plugins(caller: Caller, operation: str) -> None:
    path = dict.fromkeys(caller.api.operations[operation].names("path"), "x")
    answer = caller.expect(PLUGINS[operation], operation, query={"remote": "x", "name": "x"}, **path)
    assert answer.message


def test_no_plugins_are_listed(caller: Caller) -> None:
    assert caller.expect(200, "PluginList").json == []


def test_all_operations_of_these_tags_are_asked() -> None:
    assert set(operations("Plugin")) == {*PLUGINS, "PluginList"}
