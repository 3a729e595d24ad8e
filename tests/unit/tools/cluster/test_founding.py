"""The first hub, on a real server."""

import asyncio
from pathlib import Path

import msgspec

from shared import pki
from shared.cluster import Member, Membership, save, save_members
from shared.config import Settings
from shared.hub_operator import HubOperator
from tests.support.certified import certify
from tests.support.ports import free_port
from tests.support.process import Process
from tools.cluster.founding import found
from tools.supervisor import broker, hub, keys

READY = "Server is ready"


def started(path: Path) -> Process:
    """A server by its configuration, without its log."""
    made = msgspec.json.decode(path.read_bytes())
    path.write_bytes(msgspec.json.encode({key: value for key, value in made.items() if not key.startswith("log")}))
    process = Process([broker.program(), "-c", str(path)], READY)
    process.wait()
    return process


async def leads(settings: Settings, name: str) -> bool:
    port = int((hub.folder(settings) / "port").read_text())
    operator = await HubOperator.connect(port, settings.state_path / "keys/hub.nk", name)
    try:
        async with asyncio.timeout(60):
            while (group := await operator.group()).leader != name:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
    finally:
        await operator.close()
    return group.size == 1 and [peer.name for peer in group.peers] == [name]


async def test_the_first_hub_is_a_cluster_of_one_and_stays_it(directory):
    settings = Settings(state_dir=str(directory), run_dir=str(directory))
    certify(directory / "cluster")
    place = f"127.0.0.1:{free_port(3)}"
    membership = Membership(cluster="c1", address=place, hubs=(place,), hub="hub-1")
    pin = pki.pin(pki.request((directory / "cluster/node.key").read_bytes()))
    member = Member(id="node1", link=keys.public_key(directory / "keys", broker.LINK), pin=pin, hub=True)
    save_members(settings.state_path, [member])
    await asyncio.to_thread(found, settings, membership)
    save(settings.state_path, membership)
    linked = started(broker.write_configuration(settings, -1, []))  # without any link a server waits for ever
    try:
        for _ in range(2):
            process = started(hub.prepare(settings, membership))
            try:
                assert await leads(settings, "hub-1")
            finally:
                process.kill()
    finally:
        linked.kill()
