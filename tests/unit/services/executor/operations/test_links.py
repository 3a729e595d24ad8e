"""Legacy links between containers of the default bridge."""

from __future__ import annotations

from typing import Any

import pytest

from shared.contracts import executor as contract
from shared.contracts import network, platform
from shared.contracts.execs import ExecCreateRequest, ExecStartRequest
from shared.errors import Conflict, InvalidArgument, NotFound
from tests.support.executor_node import Node

DATABASE: dict[str, Any] = {"config": {"exposed_ports": {"5432/tcp": {}}, "env": ("USER=joe",)}}


def links(node: Node, container_id: str) -> tuple[str, ...]:
    spec = node.spec(container_id)
    assert spec is not None
    kept: tuple[str, ...] = spec.host_config.links
    return kept


def environments(node: Node, kind: str) -> list[tuple[str, ...]]:
    return [
        asked.process.env
        for asked in node.platform.requests(kind)
        if isinstance(asked, platform.CreateRequest | platform.ExecRequest)
    ]


async def test_a_linked_container_is_told_of_to_every_process(node: Node) -> None:
    database = await node.run("serve", name="db", **DATABASE)
    web = await node.run("sleep", name="web", links=("db:store", "/db:/web/again"))
    assert links(node, web) == (f"{database}:store", f"{database}:again")
    asked = node.network.requests("sandbox")[-1]
    assert isinstance(asked, network.SandboxRequest)
    assert asked.links == links(node, web)
    made = await node.call(contract.EXEC_CREATE, ExecCreateRequest(id=web, cmd=("env",)))
    await node.call(contract.EXEC_START, ExecStartRequest(exec_id=made.exec_id, detach=True))
    for environment in (environments(node, "create")[-1], environments(node, "exec")[0]):
        assert {"STORE_PORT=tcp://172.17.0.2:5432", "STORE_NAME=/web/store", "AGAIN_ENV_USER=joe"} <= set(environment)
    spec = node.spec(web)
    assert spec is not None
    assert not any("STORE" in variable for variable in spec.config.env)


async def test_what_cannot_be_linked_to(node: Node) -> None:
    await node.create("sleep", name="outside", network_mode="host")
    for link, text in (
        ("nope:x", "could not get container for nope: No such container: nope"),
        ("outside:x", "host type networking can't be used with links"),
        ("a:b:c", "bad format for links: a:b:c"),
    ):
        with pytest.raises(InvalidArgument, match=text):
            await node.create("sleep", links=(link,))


async def test_links_lead_to_whose_network_it_is(node: Node) -> None:
    database = await node.run("serve", name="db")
    await node.run("serve", name="side", network_mode="container:db")
    web = await node.create("sleep", links=("side:db",))
    assert links(node, web) == (f"{database}:db",)


async def test_a_linked_container_has_to_run(node: Node) -> None:
    database = await node.create("serve", name="db")
    web = await node.create("sleep", name="web", links=("db:store",))
    with pytest.raises(Conflict, match="Cannot link to a non running container: /db AS /web/store"):
        await node.begin(web)
    await node.begin(database)
    await node.begin(web)
    await node.stop(database)
    with pytest.raises(Conflict, match="Cannot link to a non running container: /db AS /web/store"):
        await node.call(contract.EXEC_CREATE, ExecCreateRequest(id=web, cmd=("env",)))
    await node.stop(web)
    await node.remove(database)
    with pytest.raises(Conflict, match=f"Cannot link to a non running container: /{database[:12]} AS /web/store"):
        await node.begin(web)


async def test_on_other_networks_links_say_nothing(node: Node) -> None:
    database = await node.run("serve", name="db")
    web = await node.create("sleep", name="own", network_mode="web", links=("db:store",))
    assert links(node, web) == ()
    alone = await node.run("sleep", name="alone", network_mode="none", links=("db:store",))
    assert not any("STORE" in variable for variable in environments(node, "create")[-1])
    assert links(node, alone) == (f"{database}:store",)


async def test_a_link_is_removed_while_the_container_runs(node: Node) -> None:
    database = await node.run("serve", name="db")
    web = await node.run("sleep", name="web", links=("db:store", "db:other"))
    await node.remove(web, link=True, reference="web/store")
    assert links(node, web) == (f"{database}:other",)
    assert node.network.requests("link") == [network.LinkRequest(container_id=web, links=links(node, web))]
    with pytest.raises(NotFound, match="No such container: web/store"):
        await node.remove(web, link=True, reference="web/store")
    with pytest.raises(Conflict, match="cannot remove the default link name of the container"):
        await node.remove(web, link=True, reference="web")
    await node.stop(web)
    await node.remove(web, link=True, reference="/web/other")
    assert (links(node, web), len(node.network.requests("link"))) == ((), 1)
