"""What every network service does."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.mirrors import Sources
from shared.bus import Bus
from shared.contracts import network
from shared.contracts.base import Empty
from shared.contracts.common import DockerEvent
from shared.contracts.container import EndpointSettings, PortBinding
from shared.contracts.network import (
    ENDPOINTS,
    SPECS,
    CreateRequest,
    InspectRequest,
    ListRequest,
    ReleaseRequest,
    Sandbox,
    SandboxRequest,
)
from shared.errors import AlreadyExists, Conflict, InvalidArgument, NotFound, PermissionDenied
from shared.ids import new_id, new_token
from shared.state import State, View


def unique() -> str:
    return f"t{new_token()[:16]}"


async def until(view: View, holds: Callable[[], bool]) -> None:
    """Endpoints are told soon, not at once."""
    changed = asyncio.Event()
    stop = view.on_change(lambda *_: changed.set())
    async with asyncio.timeout(60):
        while not holds():
            await changed.wait()
            changed.clear()
    stop()


@asynccontextmanager
async def sandbox(bus: Bus, **fields: object) -> AsyncIterator[Sandbox]:
    """A sandbox that is released afterwards."""
    container = new_id()
    request = {
        "container_id": container,
        "container_name": unique(),
        "endpoints": {"bridge": EndpointSettings()},
        **fields,
    }
    made = await bus.call(network.SANDBOX, SandboxRequest(**request))  # type: ignore[arg-type]
    try:
        yield made
    finally:
        await bus.call(network.RELEASE, ReleaseRequest(container_id=container, keep_files=False))


@asynccontextmanager
async def user_network(bus: Bus, name: str, **fields: object) -> AsyncIterator[str]:
    """A network that is removed afterwards; its id."""
    made = await bus.call(network.CREATE, CreateRequest(**{"name": name, **fields}))  # type: ignore[arg-type]
    try:
        yield made.id
    finally:
        await bus.call(network.REMOVE, InspectRequest(reference=made.id))


async def test_a_sandbox_has_an_address_and_files(bus: Bus) -> None:
    async with sandbox(bus) as made:
        assert made.endpoints["bridge"].ip_address
        assert made.path
        assert set(made.files) == {"/etc/hosts", "/etc/resolv.conf", "/etc/hostname"}
        assert made.container_id in {
            each.container_id for each in (await bus.call(network.SANDBOXES, Empty())).sandboxes
        }


@pytest.mark.parties("real")
async def test_changes_are_told_before_their_answers(bus: Bus) -> None:
    seen = (await Sources.open(bus)).networks
    await seen.known()
    name, other, container = unique(), unique(), new_id()
    request = SandboxRequest(container_id=container, container_name=unique(), endpoints={name: EndpointSettings()})
    joining = network.ConnectRequest(container_id=container, container_name=unique(), network=other, running=True)
    for work in (
        bus.call(network.CREATE, CreateRequest(name=name)),
        bus.call(network.CREATE, CreateRequest(name=other)),
        bus.call(network.SANDBOX, request),
        bus.call(network.CONNECT, joining),
        bus.call(network.RENAMED, network.RenamedRequest(container_id=container, name=unique())),
        bus.call(network.DISCONNECT, network.DisconnectRequest(container_id=container, network=other)),
        bus.call(network.RELEASE, ReleaseRequest(container_id=container, keep_files=False)),
        bus.call(network.REMOVE, InspectRequest(reference=name)),
        bus.call(network.REMOVE, InspectRequest(reference=other)),
    ):
        before = seen.count
        await work
        assert seen.count > before
        present = {each.spec.id: each for each in (await bus.call(network.LIST, ListRequest())).networks}
        assert await seen.known() == present


async def test_asking_again_gives_the_same_sandbox_until_it_is_released(bus: Bus) -> None:
    request = SandboxRequest(container_id=new_id(), container_name=unique(), endpoints={"bridge": EndpointSettings()})
    made = await bus.call(network.SANDBOX, request)
    assert await bus.call(network.SANDBOX, request) == made
    for _ in range(2):
        await bus.call(network.RELEASE, ReleaseRequest(container_id=request.container_id, keep_files=False))
    present = {each.container_id for each in (await bus.call(network.SANDBOXES, Empty())).sandboxes}
    assert request.container_id not in present


@pytest.mark.parties("real")
async def test_a_network_goes_when_its_last_sandbox_is_just_going(bus: Bus) -> None:
    name, container = unique(), new_id()
    await bus.call(network.CREATE, CreateRequest(name=name))
    request = SandboxRequest(container_id=container, container_name=unique(), endpoints={name: EndpointSettings()})
    await bus.call(network.SANDBOX, request)
    await asyncio.gather(
        bus.call(network.RELEASE, ReleaseRequest(container_id=container, keep_files=False)),
        bus.call(network.REMOVE, InspectRequest(reference=name)),
    )
    assert name not in {each.spec.name for each in (await bus.call(network.LIST, ListRequest())).networks}


async def test_a_published_port_is_taken_and_given_back(bus: Bus) -> None:
    wanted = {"80/tcp": (PortBinding(host_port="38217"),)}
    for _ in range(2):
        async with sandbox(bus, publish=wanted) as made:
            assert made.ports["80/tcp"]
            assert made.ports["80/tcp"][0].host_port == "38217"
            with pytest.raises(Conflict, match=r"Bind for 0\.0\.0\.0:38217 failed: port is already allocated"):
                async with sandbox(bus, publish=wanted):
                    pass


async def test_an_unknown_network(bus: Bus) -> None:
    with pytest.raises(NotFound, match="network nope not found"):
        async with sandbox(bus, endpoints={"nope": EndpointSettings()}):
            pass


async def test_with_the_hosts_network_there_is_nothing_to_join(bus: Bus) -> None:
    async with sandbox(bus, mode="host", endpoints={"host": EndpointSettings()}) as made:
        assert made.path == ""


@pytest.mark.parties("real")
async def test_the_namespace_can_be_joined_by_its_path(bus: Bus) -> None:
    async with sandbox(bus) as made, sandbox(bus, mode="none", endpoints={"none": EndpointSettings()}) as other:
        namespaces = {Path(each.path).stat().st_ino for each in (made, other)}
        assert len(namespaces | {Path("/proc/self/ns/net").stat().st_ino}) == 3
        assert (
            Path(made.files["/etc/hosts"])
            .read_text()
            .endswith(f"{made.endpoints['bridge'].ip_address}\t{made.container_id[:12]}\n")
        )
    assert not Path(made.path).exists()


@pytest.mark.parties("real")
async def test_predefined_networks(bus: Bus) -> None:
    listed = await bus.call(network.LIST, ListRequest(filters={"type": ("builtin",)}))
    assert {net.spec.name: net.spec.driver for net in listed.networks} == {
        "bridge": "bridge",
        "host": "host",
        "none": "null",
    }
    for name in ("bridge", "host", "none"):
        with pytest.raises(PermissionDenied, match=f"{name} is a pre-defined network and cannot be removed"):
            await bus.call(network.REMOVE, InspectRequest(reference=name))
    with pytest.raises(PermissionDenied, match="operation is not permitted on predefined bridge network"):
        await bus.call(network.CREATE, CreateRequest(name="bridge"))


@pytest.mark.parties("real")
async def test_a_users_network(bus: Bus, state: State) -> None:
    name = unique()
    async with user_network(bus, name, labels={"a": "b"}) as identity:
        spec = (await bus.call(network.INSPECT, InspectRequest(reference=name))).spec
        assert (spec.id, spec.node, spec.labels) == (identity, bus.node, {"a": "b"})
        assert ipaddress.ip_address(spec.ipam.config[0].gateway) in ipaddress.ip_network(spec.ipam.config[0].subnet)
        entry = await state.get(SPECS, identity)
        assert entry is not None
        assert entry.value == spec
        with pytest.raises(AlreadyExists, match=f"network with name {name} already exists"):
            await bus.call(network.CREATE, CreateRequest(name=name))
        async with sandbox(bus, endpoints={name: EndpointSettings(aliases=("api",))}) as made:
            end = made.endpoints[name]
            assert end.dns_names
            assert "api" in end.dns_names
            view = await state.view(ENDPOINTS)
            await until(view, lambda: view.get(ENDPOINTS, identity, end.endpoint_id) is not None)
            stored = view.get(ENDPOINTS, identity, end.endpoint_id)
            assert stored is not None
            assert stored.value.container_id == made.container_id
            with pytest.raises(PermissionDenied, match=f"network {name} id {identity} has active endpoints"):
                await bus.call(network.REMOVE, InspectRequest(reference=name))
        await until(view, lambda: view.get(ENDPOINTS, identity, end.endpoint_id) is None)
    assert await state.get(SPECS, identity) is None


@pytest.mark.parties("real")
async def test_a_running_container_comes_to_a_network_and_leaves_it(bus: Bus) -> None:
    name = unique()
    async with user_network(bus, name) as identity, sandbox(bus) as made:
        wanted = network.ConnectRequest(
            network=name, container_id=made.container_id, container_name=unique(), running=True
        )
        reply = await bus.call(network.CONNECT, wanted)
        assert (reply.network_name, reply.settings.network_id) == (name, identity)
        assert reply.settings.ip_address
        with pytest.raises(PermissionDenied, match=f"already exists in network {name}"):
            await bus.call(network.CONNECT, wanted)
        await bus.call(network.DISCONNECT, network.DisconnectRequest(network=name, container_id=made.container_id))
        [now] = [
            each
            for each in (await bus.call(network.SANDBOXES, Empty())).sandboxes
            if each.container_id == made.container_id
        ]
        assert list(now.endpoints) == ["bridge"]


@pytest.mark.parties("real")
async def test_prune(bus: Bus) -> None:
    label = unique()
    made = await bus.call(network.CREATE, CreateRequest(name=unique(), labels={label: ""}))
    async with user_network(bus, unique(), labels={label: ""}) as kept:
        wanted = network.PruneRequest(filters={"label": (label,)}, in_use=(kept,))
        removed = (await bus.call(network.PRUNE, wanted)).removed
    with pytest.raises(NotFound):
        await bus.call(network.INSPECT, InspectRequest(reference=made.id))
    assert len(removed) == 1


@pytest.mark.parties("real")
async def test_bad_requests_are_refused(bus: Bus) -> None:
    with pytest.raises(InvalidArgument, match="invalid name"):
        await bus.call(network.CREATE, CreateRequest(name=" "))
    with pytest.raises(InvalidArgument, match="invalid filter"):
        await bus.call(network.LIST, ListRequest(filters={"foo": ("1",)}))
    with pytest.raises(InvalidArgument, match="invalid port specification"):
        async with sandbox(bus, publish={"99999/tcp": ()}):
            pass


@pytest.mark.parties("real")
async def test_events_are_told(bus: Bus) -> None:
    told: asyncio.Queue[DockerEvent] = asyncio.Queue()
    await bus.listen(network.NETWORK_EVENT, told.put)
    await bus.transport.flush()
    name = unique()
    async with user_network(bus, name) as identity, sandbox(bus, endpoints={name: EndpointSettings()}) as made:
        pass
    about = {"name": name, "type": "bridge"}
    async with asyncio.timeout(60):
        events = [await told.get() for _ in range(4)]
    assert [(event.action, event.actor, event.attributes) for event in events] == [
        ("create", identity, about),
        ("connect", identity, {"container": made.container_id, **about}),
        ("disconnect", identity, {"container": made.container_id, **about}),
        ("destroy", identity, about),
    ]
