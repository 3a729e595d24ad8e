"""The routing mesh follows the cluster's records."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from services.network import meshing
from services.network.adapters import mesh_link
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

    def networks_in_use(self) -> list[str]:
        return ["net"] if self.records else []

    def endpoints(self, network: str) -> list[EndpointRecord]:
        return self.records

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


async def test_a_port_that_a_program_of_the_host_has_is_left_to_it(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mesh_link, "port_free", lambda protocol, port: False)
    made, tasks = new(world, tmp_path)
    made.start()
    await quiet(made)
    places = {place for place, _ in world.elements}
    assert "mesh4" not in places
    assert "meshed4" in places
    await tasks.close()


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
