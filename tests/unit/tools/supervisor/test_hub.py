"""Three hosts on loopback, each with a hub and a broker of its own; the brokers are linked to the hubs."""

import asyncio
import socket
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest
from nats import connect
from nats.aio.client import Client
from nats.errors import NoRespondersError, TimeoutError

from shared import cluster, ids, pki
from shared.clock import now_ns
from shared.cluster import Membership
from shared.config import Settings
from tests.support.process import Process
from tools.supervisor import broker, hub, keys

STREAM = {"name": "KV_agreed", "subjects": ["$KV.agreed.>"], "max_msgs_per_subject": 1, "num_replicas": 3}
READY = r"Listening for client connections on 127\.0\.0\.1:(\d+)"


def free_ports() -> int:
    """The first of three ports in a row that nobody has."""
    while True:
        first = broker.free_port(0)
        if all(_free(first + more) for more in (1, 2)):
            return first


def _free(port: int) -> bool:
    with socket.socket() as probe:
        return port < 65536 and probe.connect_ex(("127.0.0.1", port)) != 0


class Host:
    """One host of a cluster: its membership, its two brokers."""

    def __init__(self, folder: Path, authority: pki.Identity, membership: Membership) -> None:
        self.settings = Settings(state_dir=str(folder), run_dir=str(folder))
        self.membership = membership
        self.node = ids.node_id(folder)
        key, files = pki.new_key(), cluster.folder(folder)
        cluster.write(files / "node.key", key)
        cluster.write(files / "node.crt", pki.issue(authority, pki.request(key), self.node, "127.0.0.1", now_ns()))
        cluster.write(files / "ca.crt", authority.certificate)
        cluster.save(folder, membership)
        self.user = keys.public_key(folder / "keys", "tester")
        self.running: dict[str, Process] = {}

    def start(self, name: str, ready: str = READY) -> None:
        made = (
            hub.configuration(self.settings, self.membership)
            if name == hub.NAME
            else broker.configuration(self.settings, -1, [{"nkey": self.user}])
        )
        told = {key: value for key, value in made.items() if not key.startswith("log")}
        path = self.settings.state_path / f"{name}.json"
        path.write_bytes(msgspec.json.encode(told))
        self.running[name] = Process([broker.program(), "-c", str(path)], ready)

    async def connect(self) -> Client:
        port = self.running["broker"].wait()[1]
        return await connect(f"nats://127.0.0.1:{port}", nkeys_seed=str(self.settings.state_path / "keys/tester.nk"))

    def close(self) -> None:
        for process in self.running.values():
            process.kill()


@pytest.fixture
def hosts(directory):
    authority = pki.authority("c1", now_ns())
    places = tuple(f"127.0.0.1:{free_ports()}" for _ in range(3))
    made = [
        Host(
            directory / str(n), authority, Membership(cluster="c1", role="hub", address=place, hubs=places, secret="s")
        )
        for n, place in enumerate(places)
    ]
    yield made
    for host in made:
        host.close()


async def ask(client: Client, subject: str, content: object = None, **headers: str) -> dict:
    """A request to JetStream, repeated while nobody is elected yet to answer it."""
    body = b"" if content is None else msgspec.json.encode(content)
    async with asyncio.timeout(60):
        while True:
            with suppress(NoRespondersError, TimeoutError):
                answer = await client.request(subject, body, timeout=2, headers=headers or None)
                found: dict = msgspec.json.decode(answer.data)
                if found.get("error", {}).get("code") != 503:
                    return found
            await asyncio.sleep(0.05)  # nobody tells when a leader is elected


async def test_what_hosts_agree_on_outlives_a_hub_and_what_is_theirs_outlives_all(hosts):
    for host in hosts:
        host.start("hub")
        host.start("broker")
    one, other = await hosts[0].connect(), await hosts[1].connect()
    assert "error" not in await ask(one, "$JS.hub.API.STREAM.CREATE.KV_agreed", STREAM)
    assert "error" not in await ask(one, "$JS.hub.API.$KV.agreed.web", "a")
    assert "error" not in await ask(
        other, "$JS.API.STREAM.CREATE.KV_own", {"name": "KV_own", "subjects": ["$KV.own.>"]}
    )

    hosts[0].running["hub"].kill()
    taken = await ask(other, "$JS.hub.API.$KV.agreed.web", "b", **{"Nats-Expected-Last-Subject-Sequence": "0"})
    assert "wrong last sequence" in taken["error"]["description"]
    assert "error" not in await ask(one, "$JS.hub.API.$KV.agreed.db", "a")
    assert (await ask(one, f"$JS.{hosts[1].node}.API.STREAM.INFO.KV_own"))["state"]["messages"] == 0

    hosts[1].running["hub"].kill()
    hosts[2].running["hub"].kill()
    assert (await ask(other, "$KV.own.web", "b"))["seq"] == 1
    await one.close()
    await other.close()


def test_a_host_without_the_authoritys_certificate_is_not_let_in(hosts):
    stranger = pki.authority("c1", now_ns())
    key, files = pki.new_key(), cluster.folder(hosts[1].settings.state_path)
    cluster.write(files / "node.key", key)
    cluster.write(files / "node.crt", pki.issue(stranger, pki.request(key), "x", "127.0.0.1", now_ns()))
    hosts[0].start("hub", ready="handshake error: .*certificate")
    hosts[1].start("broker")
    assert hosts[0].running["hub"].wait()


def test_fewer_than_three_hubs_are_one_server_alone(hosts):
    alone = msgspec.structs.replace(hosts[0].membership, hubs=hosts[0].membership.hubs[:1])
    assert "cluster" not in hub.configuration(hosts[0].settings, alone)
    assert hub.write_configuration(hosts[0].settings, alone).stat().st_mode & 0o777 == 0o600
