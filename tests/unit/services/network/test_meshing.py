"""The routing mesh follows the cluster's records."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from services.network import meshing
from services.network.domain.addresses import Address
from services.network.domain.endpoints import Attachment
from services.network.domain.mesh import Mesh
from services.network.domain.sandboxes import SandboxRecord
from services.network.meshing import Meshing
from shared.contracts.container import PortBinding
from shared.contracts.network import EndpointRecord, Sandbox
from shared.errors import Conflict, Internal
from shared.tasks import TaskGroup
from tests.support.waiting import until

pytestmark = pytest.mark.usefixtures("host_network")
RECORD = EndpointRecord(
    id="e", network_id="net", container_id="c", container_name="web", node="n2", ipv4_address="10.0.1.2/24",
    meshed={"8080/tcp": 80},
)  # fmt: skip


class World:
    """Records, link and firewall, all in one: what was applied last, and in which order."""

    def __init__(self) -> None:
        self.complete, self.records = True, [RECORD]
        self.applied: list[Mesh] = []
        self.elements: frozenset[tuple[str, str]] = frozenset()
        self.failing = 0
        self.met: list[str] = []
        self.claims: dict[str, int] = {}

    def networks_in_use(self) -> list[str]:
        return ["net"] if self.records else []

    def endpoints(self, network: str) -> list[EndpointRecord]:
        return self.records

    def claim(self, network: str, address: str) -> SimpleNamespace:
        return SimpleNamespace(revision=self.claims[address])

    def hosts(self) -> dict[str, str]:
        return {"n1": "198.18.0.1", "n2": "198.18.0.2"}

    def apply(self, wanted: Mesh, mtu: int) -> None:
        if self.failing:
            self.failing -= 1
            raise OSError("no")
        self.applied.append(wanted)

    def mesh(self, elements: frozenset[tuple[str, str]]) -> None:
        if self.failing:
            self.failing -= 1
            raise Internal("nftables: no")
        self.elements = elements

    def meet(self, addresses: list[Address]) -> None:
        self.met += map(str, addresses)

    def close(self) -> None:
        return


@pytest.fixture
def world() -> World:
    return World()


def new(world: Any, folder: Path) -> tuple[Meshing, TaskGroup]:
    tasks = TaskGroup("mesh")
    made = Meshing("n1", "link", world, world, world, tasks, folder / "mesh.json", lambda: 1450, lambda: "")
    return made, tasks


async def quiet(made: Meshing) -> None:
    await until(lambda: not made._running, 20)


async def test_what_is_seen_is_done(world: World, tmp_path: Path) -> None:
    made, tasks = new(world, tmp_path)
    made.changed()
    assert not world.applied, "not before the rules are there"
    made.start()
    await quiet(made)
    assert ("mesh4", "tcp . 8080 : 10.0.1.2 . 80") in world.elements
    assert json.loads((tmp_path / "mesh.json").read_text()) == {"n2": 1}
    world.records = []
    made.changed()
    await quiet(made)
    assert not world.elements
    assert world.applied[-1] == Mesh()
    made.close()
    await tasks.close()


async def test_what_the_kernel_knows_of_streams_of_a_container_that_comes_is_forgotten(
    world: World, tmp_path: Path
) -> None:
    made, tasks = new(world, tmp_path)
    made.start()
    await quiet(made)
    assert not world.met
    world.records = [msgspec.structs.replace(RECORD, node="n1")]
    made.changed()
    await quiet(made)
    assert world.met == ["10.0.1.2"]
    made.changed()
    await quiet(made)
    assert world.met == ["10.0.1.2"]
    await tasks.close()


async def test_what_fails_is_tried_again(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meshing, "RETRY", 0.01)
    world.failing = 2
    made, tasks = new(world, tmp_path)
    made.start()
    await quiet(made)
    assert world.elements
    await tasks.close()


async def test_nothing_is_done_before_all_is_seen(world: World, tmp_path: Path) -> None:
    world.complete = False
    made, tasks = new(world, tmp_path)
    made.start()
    await quiet(made)
    assert not world.applied
    await tasks.close()


async def test_numbers_are_kept_over_a_restart(world: World, tmp_path: Path) -> None:
    (tmp_path / "mesh.json").write_text('{"n2": 9}')
    made, tasks = new(world, tmp_path)
    made.start()
    await quiet(made)
    assert world.applied[-1].peers["n2"].number == 9
    await tasks.close()


def places(world: World) -> set[str]:
    return {place for place, _ in world.elements}


async def test_a_port_that_a_program_of_the_host_has_is_left_to_it_while_it_has_it(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(meshing, "LOOK_AGAIN", 0.01)
    made, tasks = new(world, tmp_path)
    with socket.create_server(("127.0.0.1", 8080)):
        made.start()
        await quiet(made)
        assert "mesh4" not in places(world)
        assert "meshed4" in places(world)
    await until(lambda: "mesh4" in places(world), 20)
    with pytest.raises(OSError, match="in use"):
        socket.create_server(("127.0.0.1", 8080))
    world.records = []
    made.changed()
    await quiet(made)
    socket.create_server(("127.0.0.1", 8080)).close()
    made.close()
    await tasks.close()


async def test_a_container_of_this_host_takes_a_port_that_was_held_here(world: World, tmp_path: Path) -> None:
    made, tasks = new(world, tmp_path)
    made.start()
    await quiet(made)
    assert not made.give_way("udp", 8080)
    assert made.give_way("tcp", 8080)
    with socket.create_server(("127.0.0.1", 8080)):
        made.changed()
        await quiet(made)
        assert "mesh4" in places(world), "that of one in standby leads nowhere yet"
    made.close()
    await tasks.close()


def test_of_two_that_claim_a_port_the_first_has_it(world: World, tmp_path: Path) -> None:
    """The other chooses again, or is refused where it asked for that one."""
    made, _ = new(world, tmp_path)
    asked = sandbox("late", "8080")
    ports = {"80/tcp": (PortBinding(host_ip="0.0.0.0", host_port="8080"),)}
    entry = msgspec.structs.replace(asked.attachments[0], address="10.0.1.3/24")
    asked = msgspec.structs.replace(
        asked, attachments=(entry, asked.attachments[1]), sandbox=msgspec.structs.replace(asked.sandbox, ports=ports)
    )
    chosen = msgspec.structs.replace(asked, sandbox=msgspec.structs.replace(asked.sandbox, publish={}))
    world.claims = {"10.0.1.2": 5, "10.0.1.3": 6}
    assert made.outrun(chosen)
    with pytest.raises(Conflict, match="by container web"):
        made.outrun(asked)
    world.claims = {"10.0.1.2": 7, "10.0.1.3": 6}
    assert not made.outrun(chosen)
    assert not made.outrun(asked)


async def test_whose_ports_are(world: World, tmp_path: Path) -> None:
    made, _ = new(world, tmp_path)
    assert made.elsewhere(["80/tcp", "8080/tcp"], "other")
    assert not made.elsewhere(["8080/tcp"], "c")
    assert not made.elsewhere(["8080/udp"], "other")
    assert not made.elsewhere([], "other")


def sandbox(container: str, port: str, *, across: bool = True) -> SandboxRecord:
    publish: dict[str, tuple[PortBinding, ...]] = {"80/tcp": (PortBinding(host_port=port),)}
    entry = Attachment(network_id="net", network_name="net", endpoint_id="e1")
    out = Attachment(network_id="out", network_name="out", endpoint_id="e2", way_out=True)
    return SandboxRecord(
        sandbox=Sandbox(container_id=container, sandbox_id="s", publish=publish),
        container_name="late",
        attachments=(entry, out) if across else (entry,),
    )


def test_a_port_of_another_container_is_refused_with_its_name(world: World, tmp_path: Path) -> None:
    made, _ = new(world, tmp_path)
    with pytest.raises(Conflict, match=r"endpoint late .* port is already allocated in the cluster, by container web"):
        made.check(sandbox("other", "8080"))
    made.check(sandbox("c", "8080"))
    made.check(sandbox("other", "8081"))
    made.check(sandbox("other", "8080", across=False))
    assert not world.applied
