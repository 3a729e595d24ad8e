"""The endpoints: lists, removal, prune, events."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from services.network.sandboxes import Sandboxes
from shared.contracts import network as contract
from shared.contracts.container import EndpointSettings
from shared.contracts.network import (
    CreateRequest,
    InspectRequest,
    ListRequest,
    PruneRequest,
    ReleaseRequest,
    SandboxRequest,
)
from shared.errors import Conflict, DeadlineExceeded, NotFound, PermissionDenied
from tests.support.network_world import NetworkWorld

pytestmark = pytest.mark.usefixtures("service")


async def create(world: NetworkWorld, name: str, **fields: object) -> str:
    wanted = CreateRequest(**{"name": name, **fields})  # type: ignore[arg-type]
    return (await world.bus.call(contract.CREATE, wanted)).id


async def event(world: NetworkWorld) -> tuple[str, str, dict[str, str]]:
    async with asyncio.timeout(60):
        told = await world.events.get()
    return told.action, told.actor, told.attributes


async def test_events_have_dockers_attributes(world: NetworkWorld) -> None:
    identity = await create(world, "web")
    await world.sandbox("c1", endpoints={"web": EndpointSettings()})
    await world.release("c1")
    await world.bus.call(contract.REMOVE, InspectRequest(reference="web"))
    about = {"name": "web", "type": "bridge"}
    assert await event(world) == ("create", identity, about)
    assert await event(world) == ("connect", identity, {"container": "c1", **about})
    assert await event(world) == ("disconnect", identity, {"container": "c1", **about})
    assert await event(world) == ("destroy", identity, about)


async def test_inspect_shows_who_is_on_a_network(world: NetworkWorld) -> None:
    made = await world.sandbox("c1")
    shown = await world.bus.call(contract.INSPECT, InspectRequest(reference="bridge"))
    [end] = shown.endpoints
    assert (end.container_id, end.container_name) == ("c1", "name-c1")
    assert (end.ipv4_address, end.mac_address) == ("172.17.0.2/16", "02:42:ac:11:00:02")
    assert end.id == made.endpoints["bridge"].endpoint_id


async def test_a_network_in_use_stays(world: NetworkWorld) -> None:
    identity = await create(world, "web")
    await world.sandbox("c1", endpoints={"web": EndpointSettings()})
    with pytest.raises(PermissionDenied) as caught:
        await world.bus.call(contract.REMOVE, InspectRequest(reference="web"))
    assert caught.value.message == f"error while removing network: network web id {identity} has active endpoints"


@pytest.mark.parametrize("name", ["bridge", "host", "none"])
async def test_predefined_networks_stay(world: NetworkWorld, name: str) -> None:
    with pytest.raises(PermissionDenied, match=f"{name} is a pre-defined network and cannot be removed"):
        await world.bus.call(contract.REMOVE, InspectRequest(reference=name))


async def test_prune_removes_what_nobody_uses_or_names(world: NetworkWorld) -> None:
    for name in ("used", "named", "kept", "gone"):
        await create(world, name, labels={"keep": ""} if name == "kept" else {})
    await world.sandbox("c1", endpoints={"used": EndpointSettings()})
    wanted = PruneRequest(filters={"label!": ("keep",)}, in_use=("named",))
    assert (await world.bus.call(contract.PRUNE, wanted)).removed == ("gone",)
    listed = await world.bus.call(contract.LIST, ListRequest(filters={"type": ("custom",)}))
    assert {net.spec.name for net in listed.networks} == {"used", "named", "kept"}


async def test_prune_leaves_configurations_and_what_cannot_be_removed(
    world: NetworkWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    await create(world, "settings", config_only=True)
    for name in ("quicker", "gone"):
        await create(world, name)
    remove = world.service._catalog.remove

    async def removed_already(spec: contract.NetworkSpec) -> int:
        if spec.name == "quicker":
            await remove(spec)
        return await remove(spec)

    monkeypatch.setattr(world.service._catalog, "remove", removed_already)
    assert (await world.bus.call(contract.PRUNE, PruneRequest())).removed == ("gone",)
    listed = await world.bus.call(contract.LIST, ListRequest(filters={"type": ("custom",)}))
    assert [net.spec.name for net in listed.networks] == ["settings"]


def wish(name: str) -> contract.ConnectRequest:
    return contract.ConnectRequest(network=name, container_id="c1", container_name="x")


async def test_a_wish_to_connect_is_checked(world: NetworkWorld) -> None:
    identity = await create(world, "web")
    reply = await world.bus.call(contract.CONNECT, wish("web"))
    assert (reply.network_name, reply.settings.network_id) == ("web", identity)
    with pytest.raises(NotFound, match="network nope not found"):
        await world.bus.call(contract.CONNECT, wish("nope"))


async def test_a_running_container_is_connected_and_disconnected(world: NetworkWorld) -> None:
    identity = await create(world, "web")
    await world.sandbox("c1")
    assert [(await event(world))[0] for _ in range(2)] == ["create", "connect"]
    asked = contract.ConnectRequest(network="web", container_id="c1", container_name="x", running=True)
    reply = await world.bus.call(contract.CONNECT, asked)
    assert reply.settings.ip_address == "172.18.0.2"
    with pytest.raises(PermissionDenied, match="already exists in network web"):
        await world.bus.call(contract.CONNECT, asked)
    await world.bus.call(contract.DISCONNECT, contract.DisconnectRequest(network="web", container_id="c1"))
    about = {"container": "c1", "name": "web", "type": "bridge"}
    assert await event(world) == ("connect", identity, about)
    assert await event(world) == ("disconnect", identity, about)
    with pytest.raises(Conflict, match="container c1 is not connected to network web"):
        await world.bus.call(contract.DISCONNECT, contract.DisconnectRequest(network="web", container_id="c1"))
    await world.bus.call(contract.DISCONNECT, contract.DisconnectRequest(network="web", container_id="stopped"))


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """A host that does nothing until told to go on."""
    go = threading.Event()

    def slow(work: Callable[..., Any]) -> Callable[..., Any]:
        def wait(*arguments: Any) -> Any:
            assert go.wait(60)
            return work(*arguments)

        return wait

    for name in ("_make_on_host", "_take_from_host"):
        monkeypatch.setattr(Sandboxes, name, slow(getattr(Sandboxes, name)))
    yield go
    go.set()


async def test_what_was_begun_is_done_when_its_caller_has_given_up(world: NetworkWorld, held: threading.Event) -> None:
    with pytest.raises(DeadlineExceeded):
        await world.bus.call(
            contract.SANDBOX, SandboxRequest(container_id="c1", container_name="c1", mode="bridge"), timeout=0.05
        )
    held.set()
    made = await world.sandbox("c1")
    assert [each.path for each in await world.sandboxes()] == [made.path]
    assert world.files("netns") == {Path(made.path).name}
    held.clear()
    with pytest.raises(DeadlineExceeded):
        await world.bus.call(contract.RELEASE, ReleaseRequest(container_id="c1", keep_files=False), timeout=0.05)
    held.set()
    await world.release("c1")
    assert await world.sandboxes() == []
    assert world.files("netns") == world.files("sandboxes") == set()
