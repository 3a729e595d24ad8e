"""SIGKILL of the real service at any moment: the next one goes on, and nothing leaks."""

from __future__ import annotations

import asyncio
import os
import random
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from services.network.adapters.links import HostLinks
from services.network.adapters.nftables import Nftables
from services.network.domain.naming import is_veth
from services.network.upkeep import READY
from shared import hostmounts, ids
from shared.bus import Bus, NatsTransport
from shared.config import Settings
from shared.contracts import network
from shared.contracts.base import Empty
from shared.contracts.container import PortBinding
from shared.contracts.network import ENDPOINTS, ReleaseRequest, RenamedRequest, Sandbox, SandboxRequest
from shared.errors import DeadlineExceeded, Unavailable
from shared.state import NatsState
from tests.support.broker import Broker
from tests.support.host_network import own_host
from tests.support.mounts import unmount_below
from tests.support.process import Process

ROOT = Path(__file__).resolve().parents[4]
KILLS = 6
CONTAINERS = [f"c{number}" for number in range(12)]


class Node:
    """A host of its own with a broker and the service as a process."""

    def __init__(self, directory: Path) -> None:
        self.broker = Broker(directory).start()
        values = {"state_dir": str(directory / "state"), "run_dir": str(directory / "run"), "interface_prefix": "tk"}
        self.settings = Settings(**values)  # type: ignore[arg-type]
        self.node = ids.node_id(self.settings.state_path)
        keys = self.settings.state_path / "keys"
        keys.mkdir()
        (keys / "network.nk").write_bytes(self.broker.seed("network").read_bytes())
        named = {f"SHOAL_{key.upper()}": value for key, value in {**values, "nats_url": self.broker.url}.items()}
        self._environment = {**os.environ, **named, "PYTHONPATH": str(ROOT)}
        self.process: Process | None = None

    async def start(self) -> None:
        self.process = Process([sys.executable, "-m", "services.network"], "serves on node", self._environment)
        await asyncio.to_thread(self.process.wait)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()

    def close(self) -> None:
        if self.process is not None:
            self.process.close()
        self.broker.close()

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[tuple[Bus, NatsState]]:
        bus = Bus(await NatsTransport.connect(self.broker.url, "tester", self.broker.seed()), self.node, "tester")
        await bus.open()
        state = NatsState(bus)
        yield bus, state
        await state.close()
        await bus.close()


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    with own_host():
        made = Node(tmp_path)
        yield made
        made.close()
        unmount_below(tmp_path)
        hostmounts.drop_shared(made.settings.run_path)


async def churn(bus: Bus, chance: random.Random, stop: asyncio.Event) -> None:
    """Starts and ends containers until told to stop; a call that a kill cut short is left as it is."""
    while not stop.is_set():
        container = chance.choice(CONTAINERS)
        number = CONTAINERS.index(container)
        request = SandboxRequest(
            container_id=container,
            container_name=f"name-{container}",
            mode=chance.choice(["bridge", "bridge", "none"]),
            publish={"80/tcp": (PortBinding(host_port=str(7000 + number)),)} if number % 2 else {},
        )
        try:
            if chance.random() < 0.6:
                await bus.call(network.SANDBOX, request, timeout=2)
            else:
                await bus.call(network.RELEASE, ReleaseRequest(container_id=container, keep_files=False), timeout=2)
        except (Unavailable, DeadlineExceeded):
            await asyncio.sleep(0)


async def done(bus: Bus) -> None:
    """Returns when the service has done what it was asked for, also by a caller who has given up meanwhile.

    What is asked of one container is done in order; nothing changes by the name that it has.
    """
    for container in CONTAINERS:
        await bus.call(network.RENAMED, RenamedRequest(container_id=container, name=f"name-{container}"))


async def stored(state: NatsState, ends: set[str]) -> None:
    """Returns when the store holds these endpoints and no other."""
    view = await state.view(ENDPOINTS)
    changed = asyncio.Event()
    stop = view.on_change(lambda *_: changed.set())
    async with asyncio.timeout(60):
        while {parts[1] for parts, _ in view.items(ENDPOINTS)} != ends:
            await changed.wait()
            changed.clear()
    stop()


def ports_of(sandboxes: list[Sandbox]) -> set[str]:
    return {binding.host_port for each in sandboxes for bindings in each.ports.values() for binding in bindings or ()}


async def check_nothing_leaks(node: Node, bus: Bus, state: NatsState) -> int:
    """Host, files and store hold what the service lists, and nothing else; how many sandboxes that is."""
    await done(bus)
    present = list((await bus.call(network.SANDBOXES, Empty())).sandboxes)
    folder = node.settings.run_path / "network"
    assert {path.name for path in (folder / "netns").iterdir()} == {Path(each.path).name for each in present}
    assert {path.stem for path in (folder / "sandboxes").iterdir()} == {each.container_id for each in present}
    await stored(state, {end.endpoint_id for each in present for end in each.endpoints.values()})
    nftables = Nftables()
    rules = nftables.run("list map inet shoal publish_any4")
    assert {port for port in map(str, range(7000, 7000 + len(CONTAINERS))) if f" {port} :" in rules} == ports_of(
        present
    )
    wired = {f"tk{each.sandbox_id[:8]}0" for each in present if "bridge" in each.endpoints}
    ends_of_veth = {name for name in names() if is_veth("tk", name)}
    assert wired <= ends_of_veth
    assert len(ends_of_veth - wired) <= READY
    return len(present)


def names() -> frozenset[str]:
    """Interfaces of the host, without those of released sandboxes, which the service deletes a second later."""
    links = HostLinks()
    links.delete_dying()
    found = links.names()
    links.close()
    return found


@pytest.mark.timeout(180)
async def test_kills_at_any_moment(node: Node) -> None:
    chance, kept = random.Random(20), 0
    await node.start()
    async with node.connected() as (bus, state):
        for _ in range(KILLS):
            stop = asyncio.Event()
            workers = [asyncio.create_task(churn(bus, random.Random(chance.random()), stop)) for _ in range(4)]
            await asyncio.sleep(chance.uniform(0.05, 0.3))  # the moment is the point
            await asyncio.to_thread(node.kill)
            await node.start()
            stop.set()
            await asyncio.gather(*workers)
            kept += await check_nothing_leaks(node, bus, state)
        assert kept > 0
        for container in CONTAINERS:
            await bus.call(network.RELEASE, ReleaseRequest(container_id=container, keep_files=False))
        assert await check_nothing_leaks(node, bus, state) == 0
