"""Reads are answered again from what was answered last, until something changes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from gateway.sources import Source, Unchanged
from shared.contracts import platform
from tests.support.gateways import World
from tests.support.http import Answer, connected
from tests.support.simulators.image_store import OTHER

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
    world.images.images["other"] = OTHER
    world.images.changed()
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
    assert b"mine" not in (await api("GET", "/images/json")).body
    assert b"mine" not in (await api("GET", "/images/busybox/json")).body
    assert (await api("POST", "/images/busybox/tag?repo=mine")).status == 201
    assert b"mine" in (await api("GET", "/images/json")).body
    assert b"mine" in (await api("GET", "/images/busybox/json")).body

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
    world.images.images["loaded"] = OTHER  # and no signal has come yet
    assert (await api("POST", "/images/load", b"archive")).status == 200
    assert len((await api("GET", "/images/json")).json()) == 2
