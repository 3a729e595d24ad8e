from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import uvloop

from tests.support.gateways import Host, World, gateway_world, second_host
from tests.support.http import Answer, call

Api = Callable[..., Awaitable[Answer]]


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> dict[str, Callable[[], object]]:
    """The loop that the gateway runs on."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with gateway_world(tmp_path) as made:
        yield made


@pytest.fixture
def api(world: World) -> Api:
    """Calls the gateway: method, path, body, headers."""

    async def ask(method: str, path: str, body: object = None, **headers: str) -> Answer:
        return await call(world.socket, method, path, body, **headers)

    return ask


@pytest.fixture
async def two(world: World) -> AsyncIterator[Host]:
    """Another host; with it the gateway's own is in a cluster."""
    async with second_host(world) as made:
        yield made


@pytest.fixture
def create(api: Api) -> Callable[..., Awaitable[str]]:
    """Makes a container, started when asked for; its id."""

    async def make(*command: str, name: str = "c1", start: bool = False, **config: Any) -> str:
        body = {"Image": "busybox", "Cmd": list(command), **config}
        answer = await api("POST", f"/containers/create?name={name}", body)
        assert answer.status == 201, answer.body
        id: str = answer.json()["Id"]
        if start:
            assert (await api("POST", f"/containers/{id}/start")).status == 204
        return id

    return make
