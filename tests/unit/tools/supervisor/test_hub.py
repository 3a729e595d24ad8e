"""Hosts on loopback, each with a hub and a broker of its own; the brokers are linked to the hubs."""

import asyncio
import os
import signal
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace
from nats import connect
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import NoRespondersError, TimeoutError

from shared import cluster, ids, pki
from shared.clock import now_ns
from shared.cluster import Member, Membership, Peer, Place
from shared.config import Settings
from shared.errors import Unavailable
from shared.hub_operator import HubOperator
from tests.support.ports import free_port
from tests.support.process import Process
from tools.cluster.founding import found
from tools.supervisor import broker, hub, keys

STREAM = {"name": "KV_agreed", "subjects": ["$KV.agreed.>"], "max_msgs_per_subject": 1}
NO_PEERS = 10005
"""A server that has just begun does not count itself among those that are there."""
READY = r"Listening for client connections on 127\.0\.0\.1:(\d+)"


class Host:
    """One host of a cluster: its certificate, its two brokers. `hubs` and `members` are the whole cluster's."""

    def __init__(self, folder: Path, authority: pki.Identity, hosts: list["Host"]) -> None:
        self.settings = Settings(state_dir=str(folder), run_dir=str(folder))
        self.node, self.place = ids.node_id(folder), f"127.0.0.1:{free_port(3)}"
        key, files = pki.new_key(), cluster.folder(folder)
        request = pki.request(key)
        cluster.write(files / "node.key", key)
        cluster.write(files / "node.crt", pki.issue(authority, request, self.node, "127.0.0.1", now_ns()))
        cluster.write(files / "ca.crt", authority.certificate)
        self.member = Member(
            id=self.node, link=keys.public_key(folder / "keys", broker.LINK), pin=pki.pin(request), hub=True
        )
        self.name = f"hub-{self.node}"
        self.user = keys.public_key(folder / "keys", "tester")
        self.running: dict[str, Process] = {}
        hosts.append(self)

    def told(self, hosts: list["Host"]) -> Membership:
        """Its files say that these are the cluster's hosts, all of them hubs."""
        membership = Membership(
            cluster="c1", address=self.place, hubs=tuple(host.place for host in hosts), hub=self.name
        )
        cluster.save(self.settings.state_path, membership)
        cluster.save_members(self.settings.state_path, [host.member for host in hosts])
        return membership

    def start(self, name: str, ready: str = READY) -> None:
        membership = cluster.load(self.settings.state_path)
        assert membership is not None
        if name == hub.NAME:
            path = hub.prepare(self.settings, membership)
            made = msgspec.json.decode(path.read_bytes())
        else:
            made = broker.configuration(self.settings, -1, [{"nkey": self.user}])
            path = self.settings.state_path / "broker.json"
        path.write_bytes(msgspec.json.encode({key: value for key, value in made.items() if not key.startswith("log")}))
        self.running[name] = Process([broker.program(), "-c", str(path)], ready)
        if ready == READY:
            self.running[name].wait()

    def reload(self, hosts: list["Host"]) -> None:
        """The hub takes over that these are the cluster's hosts."""
        membership = self.told(hosts)
        port = int((hub.folder(self.settings) / "port").read_text())
        assert hub.write_configuration(self.settings, membership, port)
        path = hub.folder(self.settings) / "nats.json"
        made = msgspec.json.decode(path.read_bytes())
        path.write_bytes(msgspec.json.encode({key: value for key, value in made.items() if not key.startswith("log")}))
        os.kill(self.running["hub"].pid, signal.SIGHUP)

    async def connect(self) -> Client:
        port = self.running["broker"].wait()[1]
        return await connect(f"nats://127.0.0.1:{port}", nkeys_seed=str(self.settings.state_path / "keys/tester.nk"))

    async def operator(self) -> HubOperator:
        port = int((hub.folder(self.settings) / "port").read_text())
        return await HubOperator.connect(port, self.settings.state_path / "keys/hub.nk", self.name)

    def close(self) -> None:
        for process in self.running.values():
            process.kill()


@pytest.fixture
def authority():
    return pki.authority("c1", now_ns())


@pytest.fixture
def hosts(directory, authority):
    made: list[Host] = []
    for number in range(4):
        Host(directory / str(number), authority, made)
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
                error = found.get("error", {})
                if error.get("code") != 503 and error.get("err_code") != NO_PEERS:
                    return found
            await asyncio.sleep(0.05)  # nobody tells when a leader is elected


async def kept_by(client: Client, number: int) -> None:
    """Returns when so many hubs have all that is agreed on."""
    async with asyncio.timeout(60):
        while True:
            group = (await ask(client, "$JS.hub.API.STREAM.INFO.KV_agreed"))["cluster"]
            others = group.get("replicas", [])
            if len(others) == number - 1 and all(one["current"] and not one.get("offline") for one in others):
                return
            await asyncio.sleep(0.05)


async def written(client: Client, key: str, **headers: str) -> dict:
    return await ask(client, f"$JS.hub.API.$KV.agreed.{key}", "a", **headers)


async def group_of(operator: HubOperator, size: int) -> set[str]:
    """The names of the hubs' servers, when there are so many."""
    async with asyncio.timeout(60):
        while True:
            group = await operator.group()
            names = {peer.name for peer in group.peers}
            if group.size == len(names) == size:
                return names
            await asyncio.sleep(0.05)


async def removed(operator: HubOperator, name: str, left: int) -> None:
    """Removes a hub, though it may be the one that leads and another has to be elected first."""
    async with asyncio.timeout(60):
        while (await operator.group()).size != left:
            with suppress(Unavailable):
                await operator.remove(Peer("", name))
            await asyncio.sleep(0.05)


async def test_one_hub_becomes_three_and_one_again_and_nothing_is_lost(hosts):
    first, second, third, _ = hosts
    await asyncio.to_thread(found, first.settings, first.told([first]))
    for name in ("hub", "broker"):
        first.start(name)
    client = await first.connect()
    assert "error" not in await ask(client, "$JS.hub.API.STREAM.CREATE.KV_agreed", STREAM | {"num_replicas": 1})
    assert "error" not in await written(client, "before")

    three = hosts[:3]
    for host in (second, third):
        host.told(three)
        host.start("hub")
    first.reload(three)
    operator = await first.operator()
    assert await group_of(operator, 3) == {host.name for host in three}
    assert "error" not in await ask(client, "$JS.hub.API.STREAM.UPDATE.KV_agreed", STREAM | {"num_replicas": 3})
    await kept_by(client, 3)

    third.running["hub"].kill()
    assert "error" not in await written(client, "after")
    for key in ("before", "after"):
        refused = await written(client, key, **{"Nats-Expected-Last-Subject-Sequence": "0"})
        assert "wrong last sequence" in refused["error"]["description"]

    for host, left in ((third, 2), (second, 1)):
        await removed(operator, host.name, left)
    second.running["hub"].kill()
    assert "error" not in await ask(client, "$JS.hub.API.STREAM.UPDATE.KV_agreed", STREAM | {"num_replicas": 1})
    refused = await written(client, "before", **{"Nats-Expected-Last-Subject-Sequence": "0"})
    assert "wrong last sequence" in refused["error"]["description"]
    await client.close()
    await operator.close()


async def test_what_is_a_hosts_own_outlives_all_hubs(hosts):
    three = hosts[:3]
    for host in three:
        host.told(three)
        host.start("hub")
        host.start("broker")
    one, other = await hosts[0].connect(), await hosts[1].connect()
    own = {"name": "KV_own", "subjects": ["$KV.own.>"]}
    assert "error" not in await ask(other, "$JS.API.STREAM.CREATE.KV_own", own)
    assert (await ask(one, f"$JS.{hosts[1].node}.API.STREAM.INFO.KV_own"))["state"]["messages"] == 0
    for host in three:
        host.running["hub"].kill()
    assert (await ask(other, "$KV.own.web", "b"))["seq"] == 1
    await one.close()
    await other.close()


@asynccontextmanager
async def slow_line(to: int, seconds: float) -> AsyncIterator[int]:
    """A port that leads to another; the first word of who connects is that late."""

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, late: float) -> None:
        with suppress(OSError):
            while data := await reader.read(1 << 16):
                await asyncio.sleep(late)
                late = 0
                writer.write(data)
        writer.close()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, onwards = await asyncio.open_connection("127.0.0.1", to)
        await asyncio.gather(pass_on(reader, onwards, seconds), pass_on(there, writer, 0))

    port = free_port(3)
    server = await asyncio.start_server(connected, "127.0.0.1", port + 1)
    try:
        yield port
    finally:
        server.close()


async def test_a_link_comes_about_while_a_host_has_little_time_for_it(hosts):
    """On an overloaded machine none did, and no cluster of one host began: its hub waits for its first link."""
    host = hosts[0]
    membership = host.told([host])
    host.start("hub")
    async with slow_line(Place.parse(host.place).links, 3) as port:
        cluster.save(host.settings.state_path, replace(membership, hubs=(f"127.0.0.1:{port}",)))
        host.start("broker")
        operator = await host.operator()
        async with asyncio.timeout(60):
            while not (linked := await operator.linked()):  # noqa: ASYNC110  # nobody is told
                await asyncio.sleep(0.05)
        assert list(linked.values()) == [f"shoal-{host.node}"]
        await operator.close()


async def test_other_hosts_are_told_what_they_need_and_no_more(hosts):
    """Kept events, starts, calls and answers pass between hosts; spans, and what services of one host tell each other,
    do not.
    """
    two = hosts[:2]
    for host in two:
        host.told(two)
        host.start("hub")
        host.start("broker")
    one, other = await hosts[0].connect(), await hosts[1].connect()
    heard = await other.subscribe("shoal.v1.>")

    async def answer(message: Msg) -> None:
        await message.respond(b"answer")

    await other.subscribe("asked", cb=answer)
    await other.flush()
    assert (await answered(one, "asked")).data == b"answer"
    own = ("volume.changed", "network.changed", "image_store.changed", "platform.exited", "platform.transferred")
    for subject in ("spans", *(f"signals.{name}" for name in own), "signals.volume.started", "events.volume.create"):
        await one.publish(f"shoal.v1.{subject}")
    assert [(await heard.next_msg(60)).subject.removeprefix("shoal.v1.") for _ in range(2)] == [
        "signals.volume.started", "events.volume.create",
    ]  # fmt: skip
    await one.close()
    await other.close()


async def answered(client: Client, subject: str) -> Msg:
    """The answer of who may not be linked yet."""
    async with asyncio.timeout(60):
        while True:
            with suppress(NoRespondersError, TimeoutError):
                return await client.request(subject, timeout=2)
            await asyncio.sleep(0.05)


async def linked_with(operators: list[HubOperator]) -> tuple[HubOperator, dict[int, str]]:
    """The first of these hubs that has a link, and its links."""
    async with asyncio.timeout(60):
        while True:
            for operator in operators:
                if links := await operator.linked():
                    return operator, links
            await asyncio.sleep(0.05)


async def test_who_is_no_member_is_cut_and_not_let_in_though_its_certificate_is_good(hosts):
    first, second, third, fourth = hosts
    three = hosts[:3]
    for host in three:
        host.told(three)
        host.start("hub")
    fourth.told([first])
    fourth.start("broker", ready="Authorization Violation")
    fourth.running["broker"].wait()
    operators = [await host.operator() for host in three]
    assert await group_of(operators[0], 3) == {host.name for host in three}

    for host in three:
        host.reload(hosts)
    operator, links = await linked_with(operators)
    assert list(links.values()) == [f"shoal-{fourth.node}"]
    before = [await one.loaded() for one in operators[:2]]
    for host in (first, second):
        host.reload([first, second])
    async with asyncio.timeout(60):
        while any([await one.loaded() in before for one in operators[:2]]):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    for connection in links:
        await operator.cut(connection)
    await removed(operators[0], third.name, 2)
    third.close()
    third.start("hub", ready="Router connection closed")
    assert third.running["hub"].wait()
    assert await operators[0].linked() == await operators[1].linked() == {}
    assert await group_of(operators[0], 2) == {first.name, second.name}
    for operator in operators:
        await operator.close()


def shown(host: Host) -> bytes:
    """The certificate that a hub shows where links come in: TLS begins after NATS' INFO."""
    own = cluster.Place.parse(host.place)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection((own.host, own.links), 60) as plain:
        while not plain.recv(1 << 16).endswith(b"\r\n"):
            pass
        with context.wrap_socket(plain) as secured:
            return secured.getpeercert(binary_form=True) or b""


async def test_a_renewed_certificate_breaks_no_link(hosts, authority):
    first, second = hosts[:2]
    for host in (first, second):
        host.told([first, second])
        host.start("hub")
    first.start("broker")
    operators = [await host.operator() for host in (first, second)]
    operator, links = await linked_with(operators)
    before = [shown(first), await operators[0].loaded()]
    files = cluster.folder(first.settings.state_path)
    request = pki.request((files / "node.key").read_bytes())
    cluster.write(files / "node.crt", pki.issue(authority, request, first.node, "127.0.0.1", now_ns()))
    for name in ("hub", "broker"):
        os.kill(first.running[name].pid, signal.SIGHUP)
    async with asyncio.timeout(60):
        while await operators[0].loaded() == before[1] or shown(first) == before[0]:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    assert await operator.linked() == links
    assert await group_of(operators[0], 2) == {first.name, second.name}
    for each in operators:
        await each.close()


def test_a_host_without_the_authoritys_certificate_is_not_let_in(hosts):
    stranger = pki.authority("c1", now_ns())
    key, files = pki.new_key(), cluster.folder(hosts[1].settings.state_path)
    cluster.write(files / "node.key", key)
    cluster.write(files / "node.crt", pki.issue(stranger, pki.request(key), "x", "127.0.0.1", now_ns()))
    hosts[0].told(hosts[:2])
    hosts[1].told(hosts[:1])
    hosts[0].start("hub", ready="handshake error: .*certificate")
    hosts[1].start("broker", ready="")
    assert hosts[0].running["hub"].wait()


def test_what_a_hub_of_another_name_has_left_is_removed(hosts):
    settings, membership = hosts[0].settings, hosts[0].told(hosts[:1])
    path = hub.prepare(settings, membership)
    assert path.stat().st_mode & 0o777 == 0o600
    (path.parent / "jetstream").mkdir()
    hub.prepare(settings, membership)
    assert (path.parent / "jetstream").exists()
    hub.prepare(settings, msgspec.structs.replace(membership, hub="hub-another"))
    assert not (path.parent / "jetstream").exists()
