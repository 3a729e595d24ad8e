"""Reads are answered again from what was answered last, until something changes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.sources import Source, Sources, Unchanged
from shared.bus import MemoryBroker
from shared.bus.memory import MemoryTransport
from shared.contracts import image_store, network, platform, volume
from shared.contracts.base import Empty
from shared.testing import kernel, serving
from tests.support.gateways import World, as_far_as
from tests.support.http import Answer, connected
from tests.support.simulators.platform_host import PlatformHostSimulator
from tests.support.waiting import until

Api = Callable[..., Awaitable[Answer]]
Create = Callable[..., Awaitable[str]]


def test_unchanged_until_one_of_them_changes() -> None:
    one, other = Source(), Source()
    always, first, both = Unchanged(), Unchanged(one), Unchanged(one, other)
    other.changed()
    assert (always.holds(), first.holds(), both.holds()) == (True, True, False)


async def asked(world: World, path: str) -> bytes:
    """The answer to the same bytes whenever it is asked."""
    async with connected(world.socket) as client:
        await client.send(f"GET /v1.51{path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        answer = await client.answer()
        assert answer.status == 200, answer.body
        return answer.body


@pytest.mark.parametrize("path", ["/images/json", "/images/busybox/json", "/networks", "/volumes", "/version"])
async def test_nobody_is_asked_the_same_again(world: World, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    first = await asked(world, path)
    calls: list[object] = []
    monkeypatch.setattr(world.kernel.bus, "call", lambda *arguments, **named: calls.append(arguments))
    assert await asked(world, path) == first
    assert calls == []


async def test_info_asks_again_only_what_may_have_changed(
    world: World, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which platforms run here may change without anybody's doing: the host is asked each time, the images are not."""
    assert (await api("GET", "/info")).json()["Images"] == 1
    calls, call = [], world.kernel.bus.call

    async def counted(endpoint: Any, *arguments: Any, **named: Any) -> Any:
        calls.append(endpoint)
        return await call(endpoint, *arguments, **named)

    with monkeypatch.context() as patch:
        patch.setattr(world.kernel.bus, "call", counted)
        assert (await api("GET", "/info")).json()["Images"] == 1
    assert calls == [platform.HOST]
    assert (await api("POST", "/images/busybox/tag?repo=mine")).status == 201
    assert (await api("GET", "/info")).json()["Images"] == 2


async def test_who_changes_something_sees_it(api: Api, create: Create) -> None:
    assert b"mine" not in (await api("GET", "/networks")).body
    assert (await api("POST", "/networks/create", {"Name": "mine"})).status == 201
    assert b"mine" in (await api("GET", "/networks")).body
    assert (await api("DELETE", "/networks/mine")).status == 204
    assert b"mine" not in (await api("GET", "/networks")).body

    assert b"mine" not in (await api("GET", "/volumes")).body
    assert (await api("POST", "/volumes/create", {"Name": "mine"})).status == 201
    assert b"mine" in (await api("GET", "/volumes")).body

    assert (await api("GET", "/images/json")).json()[0]["Containers"] == 0
    assert len((await api("GET", "/images/json")).json()) == 1
    assert (await api("POST", "/images/busybox/tag?repo=mine")).status == 201
    assert len((await api("GET", "/images/json")).json()) == 2

    assert (await api("GET", "/containers/json?all=1")).json() == []
    await create("true")
    assert len((await api("GET", "/containers/json?all=1")).json()) == 1
    assert (await api("GET", "/images/json")).json()[0]["Containers"] == 1
    assert (await api("GET", "/containers/c1/json")).json()["Name"] == "/c1"
    assert (await api("POST", "/containers/c1/rename?name=c2")).status == 204
    assert (await api("GET", "/containers/c2/json")).json()["Name"] == "/c2"
    assert (await api("GET", "/containers/c1/json")).status == 404


async def test_the_lines_of_a_load_never_come_before_what_they_tell_of(world: World, api: Api) -> None:
    assert len((await api("GET", "/images/json")).json()) == 1
    world.images.images["loaded"] = world.images.images["busybox"]  # and no signal has come yet
    assert (await api("POST", "/images/load", b"archive")).status == 200
    assert len((await api("GET", "/images/json")).json()) == 2


def _counts(sources: Sources) -> dict[str, int]:
    return {name: getattr(sources, name).count for name in ("containers", "images", "networks", "volumes", "host")}


async def test_what_services_tell_is_heard(tmp_path: Path) -> None:
    broker = MemoryBroker()
    async with kernel("gateway", tmp_path, broker) as own, kernel("other", tmp_path / "o", broker) as other:
        sources = await Sources.open(own.bus)
        for event, name in (
            (image_store.CHANGED, "images"),
            (network.CHANGED, "networks"),
            (volume.CHANGED, "volumes"),
        ):
            before = _counts(sources)
            await other.bus.tell(event, Empty())
            await until(lambda before=before: _counts(sources) != before)  # type: ignore[misc]
            assert _counts(sources) == before | {name: before[name] + 1}


async def test_a_new_instance_may_know_other_things(tmp_path: Path) -> None:
    broker = MemoryBroker()
    async with kernel("gateway", tmp_path, broker) as own, kernel("host", tmp_path / "o", broker) as other:
        sources = await Sources.open(own.bus)
        before = _counts(sources)
        simulator = PlatformHostSimulator()
        async with serving(other, as_far_as(platform.CONTRACT, simulator), simulator):
            await until(lambda: _counts(sources) != before)
            assert _counts(sources) == before | {"host": 1}


async def test_what_was_missed_while_the_broker_was_away_counts_as_changed(tmp_path: Path) -> None:
    async with kernel("gateway", tmp_path) as own:
        sources = await Sources.open(own.bus)
        before = _counts(sources)
        assert isinstance(own.bus.transport, MemoryTransport)
        own.bus.transport.reconnect()
        assert _counts(sources) == {name: count + (name != "containers") for name, count in before.items()}
