from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import pytest

from gateway.app import GatewayService, addresses
from gateway.http.router import Router
from gateway.routes.table import ROUTES
from shared.config import Settings
from shared.errors import InvalidArgument
from shared.testing import kernel
from tests.support.gateways import World
from tests.support.http import Answer, connected
from tests.support.waiting import until

Api = Callable[..., Awaitable[Answer]]
Create = Callable[..., Awaitable[str]]
OPERATIONS = """
GET /containers/json
POST /containers/create
GET /containers/x/json
GET /containers/x/top
GET /containers/x/logs
GET /containers/x/changes
GET /containers/x/export
GET /containers/x/stats
POST /containers/x/resize
POST /containers/x/start
POST /containers/x/stop
POST /containers/x/restart
POST /containers/x/kill
POST /containers/x/update
POST /containers/x/rename
POST /containers/x/pause
POST /containers/x/unpause
POST /containers/x/attach
GET /containers/x/attach/ws
POST /containers/x/wait
DELETE /containers/x
HEAD /containers/x/archive
GET /containers/x/archive
PUT /containers/x/archive
POST /containers/prune
GET /images/json
POST /build
POST /build/prune
POST /images/create
GET /images/a/b/json
GET /images/a/b/history
POST /images/a/b/push
POST /images/a/b/tag
DELETE /images/a/b
GET /images/search
POST /images/prune
POST /commit
GET /images/a/b/get
GET /images/get
POST /images/load
GET /images/a/b/attestations
GET /networks
GET /networks/x
DELETE /networks/x
POST /networks/create
POST /networks/x/connect
POST /networks/x/disconnect
POST /networks/prune
GET /volumes
POST /volumes/create
GET /volumes/x
DELETE /volumes/x
POST /volumes/prune
PUT /volumes/x
POST /containers/x/exec
POST /exec/x/start
POST /exec/x/resize
GET /exec/x/json
GET /swarm
POST /swarm/init
POST /swarm/join
POST /swarm/leave
POST /swarm/update
GET /swarm/unlockkey
POST /swarm/unlock
GET /nodes
GET /services
GET /services/x/logs
GET /tasks
GET /tasks/x/logs
GET /secrets
POST /secrets/create
GET /configs
POST /configs/x/update
GET /plugins
GET /plugins/privileges
POST /plugins/a/b/enable
POST /auth
GET /info
GET /version
GET /_ping
HEAD /_ping
GET /events
GET /system/df
GET /distribution/a/b/json
POST /session
GET /containers/x/checkpoints
POST /containers/x/checkpoints
DELETE /containers/x/checkpoints/y
POST /build/cancel
POST /grpc
GET /networks/
GET /debug/vars
""".strip().splitlines()


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_operation_is_routed(operation: str) -> None:
    method, path = operation.split(" ")
    route, _ = Router(ROUTES).find(method, path)
    assert route.method == method


def test_no_operation_is_there_twice() -> None:
    keys = [(route.method, route.template) for route in ROUTES]
    assert len(keys) == len(set(keys))


HOSTILE_BODIES: tuple[object, ...] = (
    None,
    {},
    {"Image": 5, "Cmd": {"a": 1}, "HostConfig": {"Binds": 7}},
    {"Name": ["x"], "Container": {}, "Labels": [], "DriverOpts": "x", "IPAM": 5, "Driver": None},
    {"Image": "busybox", "HostConfig": None, "NetworkingConfig": {"EndpointsConfig": {"a": {"IPAMConfig": []}}}},
    [1, 2],
    b"\xff\x00garbage",
    b"[" * 5000,
)
HOSTILE_QUERIES = (
    "until=1",
    "until=1&filters=%5B%5D&limit=-1&size=x&t=1e9&signal=%00&name=%2F..%2F&h=1&w=-1&platform=%2F&tail=-5&since=1",
    "until=1&filters=%7B%22label%22%3A%7B%22%22%3Atrue%7D%7D&condition=&detachKeys=%F0%9F%98%80&stdout=1&tag=%20",
)


@pytest.mark.parametrize("query", HOSTILE_QUERIES)
@pytest.mark.parametrize("body", HOSTILE_BODIES, ids=range(len(HOSTILE_BODIES)))
async def test_no_request_is_answered_by_a_defect(api: Api, create: Create, query: str, body: object) -> None:
    await create("exit", "0")
    for route in ROUTES:
        path = route.template.replace("{id}", "c1").replace("{name}", "busybox").replace("{checkpoint}", "x")
        answer = await api(route.method, f"{path}?{query}", body, Content_Type="application/json")
        assert answer.status != 500, (route.name, answer.body)
        if answer.status >= 400 and route.method != "HEAD":
            assert answer.message, route.name


async def test_pages_that_are_not_there(api: Api) -> None:
    for method, path in (("GET", "/nope"), ("GET", "/v1.41/nope"), ("PUT", "/version"), ("GET", "/vx/version")):
        answer = await api(method, path)
        assert (answer.status, answer.message) == (404, "page not found")


async def test_versions_that_are_not_served(api: Api) -> None:
    answer = await api("GET", "/v9.9/version")
    assert (answer.status, answer.headers["api-version"]) == (400, "1.51")
    assert answer.message == "client version 9.9 is too new. Maximum supported API version is 1.55"


async def test_stopping_finishes_what_is_under_way(api: Api, create: Create, world: World) -> None:
    await create("sleep", "1", start=True)
    async with connected(world.socket) as waiting, connected(world.socket) as idle:
        await waiting.send(b"POST /containers/c1/wait HTTP/1.1\r\n\r\n")
        await waiting.head()
        await idle.send(b"GET /_ping HTTP/1.1\r\n\r\n")
        await idle.answer()
        await world.app.close()
        assert await idle.reader.read() == b""
        assert await waiting.reader.read() == b""
    assert not world.socket.exists()


async def test_slow_clients_do_not_keep_others_waiting(api: Api, world: World) -> None:
    async with connected(world.socket) as slow:
        await slow.send(b"POST /containers/create HTTP/1.1\r\nContent-Length: 1000\r\n\r\n{")
        assert (await api("GET", "/_ping")).body == b"OK"


async def test_many_clients_at_once(api: Api, world: World) -> None:
    before = len(os.listdir("/proc/self/fd"))
    answers = await asyncio.gather(*(api("GET", "/containers/json") for _ in range(100)))
    assert {answer.body for answer in answers} == {b"[]\n"}
    for _ in range(100):
        await asyncio.sleep(0)
    assert len(os.listdir("/proc/self/fd")) <= before + 2


async def test_addresses_by_settings(tmp_path: Path) -> None:
    settings = Settings(state_dir=str(tmp_path / "s"), run_dir=str(tmp_path / "r"), hosts=("tcp://127.0.0.1:2375",))
    async with kernel("gateway", tmp_path, settings=settings) as made:
        with pytest.raises(InvalidArgument, match=r"accessible on http://127\.0\.0\.1:2375 without encryption"):
            addresses(made)
    allowed = msgspec.structs.replace(settings, tcp_without_tls=True)
    async with kernel("gateway", tmp_path, settings=allowed) as made:
        unix, tcp = addresses(made)
    assert (unix.path, tcp.host, tcp.port) == (tmp_path / "r" / "docker.sock", "127.0.0.1", 2375)


async def test_a_wrong_address_is_named(tmp_path: Path) -> None:
    settings = Settings(state_dir=str(tmp_path / "s"), run_dir=str(tmp_path / "r"), hosts=("http://x",))
    async with kernel("gateway", tmp_path, settings=settings) as made:
        with pytest.raises(InvalidArgument, match="http://x"):
            addresses(made)


async def test_it_makes_way_for_another_only_without_clients_and_other_addresses(world: World, tmp_path: Path):
    settings = Settings(state_dir=str(tmp_path / "state"), run_dir=str(tmp_path / "run"))
    public = msgspec.structs.replace(settings, hosts=("tcp://127.0.0.1:0",))
    async with (
        kernel("gateway", tmp_path, settings=settings) as made,
        kernel("other", tmp_path, settings=public) as other,
    ):
        alone, listening = GatewayService(made, world.app), GatewayService(other, world.app)
        assert alone.at_rest()
        assert not listening.at_rest()
        async with connected(world.socket):
            await until(lambda: not alone.at_rest())
        await until(alone.at_rest)
