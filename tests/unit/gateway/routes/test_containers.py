from __future__ import annotations

import json
from collections import Counter
from collections.abc import Awaitable, Callable
from urllib.parse import quote

import pytest

from shared.contracts import executor
from shared.errors import Unavailable
from tests.support.gateways import World
from tests.support.http import Answer

Api = Callable[..., Awaitable[Answer]]
Create = Callable[..., Awaitable[str]]


def filtered(**filters: list[str]) -> str:
    return "filters=" + quote(json.dumps(filters))


async def names(api: Api, query: str) -> list[str]:
    answer = await api("GET", f"/containers/json?{query}")
    assert answer.status == 200, answer.body
    return [one["Names"][0][1:] for one in answer.json()]


async def test_a_container_is_there_when_its_creation_is_answered(api: Api) -> None:
    made = await api("POST", "/containers/create?name=web", {"Image": "busybox", "Cmd": ["sleep", "1"]})
    assert (made.status, made.json()["Warnings"]) == (201, [])
    id = made.json()["Id"]
    for reference in (id, id[:12], "web", "/web"):
        shown = await api("GET", f"/containers/{reference}/json")
        assert (shown.status, shown.json()["Id"]) == (200, id)


async def test_what_is_not_there(api: Api) -> None:
    for method, path in (
        ("GET", "/containers/nope/json"),
        ("POST", "/containers/nope/start"),
        ("DELETE", "/containers/nope"),
        ("GET", "/containers/%20/json"),
        ("GET", "/containers/" + "0" * 64 + "/json"),
    ):
        answer = await api(method, path)
        assert (answer.status, answer.message.startswith("No such container: ")) == (404, True)
    assert (await api("POST", "/containers/nope/kill")).message == (
        "cannot kill container: nope: No such container: nope"
    )


async def test_an_ambiguous_prefix_is_refused(api: Api, create: Create) -> None:
    first = [(await create("x", name=f"c{number}"))[0] for number in range(17)]
    prefix = Counter(first).most_common(1)[0][0]  # 17 ids have 16 first digits
    answer = await api("GET", f"/containers/{prefix}/json")
    assert (answer.status, answer.message) == (400, f"multiple IDs found with provided prefix: {prefix}")


async def test_the_life_of_a_container(api: Api, create: Create) -> None:
    id = await create("sleep", "1")

    async def state() -> str:
        shown = (await api("GET", f"/containers/{id}/json")).json()["State"]["Status"]
        assert isinstance(shown, str)
        return shown

    for path, status, after in (
        ("start", 204, "running"),
        ("start", 304, "running"),
        ("pause", 204, "paused"),
        ("unpause", 204, "running"),
        ("stop?t=0", 204, "exited"),
        ("stop", 304, "exited"),
        ("restart", 204, "running"),
        ("kill?signal=KILL", 204, "exited"),
    ):
        assert (await api("POST", f"/containers/{id}/{path}")).status == status, path
        assert await state() == after
    assert (await api("DELETE", f"/containers/{id}?v=1&force=1")).status == 204
    assert (await api("GET", f"/containers/{id}/json")).status == 404


async def test_requests_carry_what_the_client_said(api: Api, create: Create, world: World) -> None:
    id = await create("sleep", "1", start=True)
    await api("POST", "/v1.51/containers/c1/stop?t=-1&signal=INT")
    assert world.executor.last() == executor.StopRequest(id=id, timeout=-1, signal="INT", reference="c1")
    await api("POST", "/v1.41/containers/c1/stop?signal=INT")
    assert world.executor.last() == executor.StopRequest(id=id, reference="c1")
    await api("DELETE", "/containers/c1?v=1&link=0&force=true")
    assert world.executor.last() == executor.RemoveRequest(id=id, volumes=True, force=True, reference="c1")


async def test_a_listing(api: Api, create: Create) -> None:
    await create("sleep", "1", name="old", start=True, Labels={"a": "b"})
    await create("exit", "3", name="new")
    assert await names(api, "") == ["old"]
    assert await names(api, "all=1") == ["new", "old"]
    assert await names(api, "limit=1") == ["new"]
    assert await names(api, "all=1&" + filtered(label=["a=b"])) == ["old"]
    assert await names(api, filtered(status=["created"])) == ["new"]
    assert await names(api, "all=1&" + filtered(name=["^ne"])) == ["new"]
    assert await names(api, "all=1&" + filtered(since=["old"])) == ["new"]
    assert await names(api, "all=1&" + filtered(before=["new"])) == ["old"]
    assert await names(api, "all=1&" + filtered(ancestor=["busybox"])) == ["new", "old"]
    assert await names(api, "all=1&" + filtered(ancestor=["nope"])) == []
    [entry] = (await api("GET", "/containers/json?size=1")).json()
    assert (entry["Status"], entry["SizeRw"], entry["SizeRootFs"]) == ("Up Less than a second", 5, 1005)


@pytest.mark.parametrize(
    ("query", "text"),
    [
        (filtered(foo=["x"]), "invalid filter 'foo'"),
        (filtered(status=["foo"]), "invalid filter 'status=foo'"),
        (filtered(health=["foo"]), "invalid filter 'health=foo'"),
        (filtered(exited=["foo"]), "invalid filter 'exited=foo'"),
        (filtered(publish=["a"]), "publish"),
        ("filters=x", "invalid filter"),
        ("limit=x", "limit"),
        ("all=%zz", "invalid URL escape"),
    ],
)
async def test_a_wrong_listing_is_refused(api: Api, query: str, text: str) -> None:
    answer = await api("GET", f"/containers/json?{query}")
    assert answer.status == 400
    assert text in answer.message


async def test_a_missing_container_in_a_filter(api: Api) -> None:
    answer = await api("GET", f"/containers/json?{filtered(before=['nope'])}")
    assert (answer.status, answer.message) == (404, "No such container: nope")


@pytest.mark.parametrize(
    ("method", "path", "body", "text"),
    [
        ("POST", "/containers/create", b"{", "Content-Type"),
        ("POST", "/containers/create", {"Image": 5}, "Config.Image: Expected `str`"),
        ("POST", "/containers/create", {}, "config cannot be empty"),
        ("POST", "/containers/create?platform=a/b/c/d", {"Image": "busybox"}, "invalid platform specifier"),
        ("POST", "/containers/c1/start", {"HostConfig": {}}, "non-empty request body"),
        ("POST", "/containers/c1/stop?t=abc", None, "invalid value for t"),
        ("POST", "/containers/c1/resize?h=a&w=1", None, 'invalid resize height "a"'),
        ("POST", "/containers/c1/rename", None, "Neither old nor new names may be empty"),
        ("POST", "/containers/prune?" + filtered(foo=["x"]), None, "invalid filter 'foo'"),
        ("POST", "/containers/prune?" + filtered(until=["x"]), None, "until"),
        ("POST", "/containers/prune?" + filtered(until=["1", "2"]), None, "more than one until"),
    ],
)
async def test_wrong_requests_are_refused(
    api: Api, create: Create, method: str, path: str, body: object, text: str
) -> None:
    await create("sleep", "1")
    answer = await api(method, path, body)
    assert answer.status == 400
    assert text in answer.message


async def test_a_new_name_is_known_at_once(api: Api, create: Create) -> None:
    id = await create("sleep", "1")
    for old, new in (("c1", "old"), ("old", "new")):  # `c1` may be the begin of an id as well
        assert (await api("POST", f"/containers/{old}/rename?name={new}")).status == 204
    assert (await api("GET", "/containers/new/json")).json()["Id"] == id
    assert (await api("GET", "/containers/old/json")).status == 404


async def test_sizes_are_shown_when_asked_for(api: Api, create: Create) -> None:
    await create("sleep", "1")
    assert "SizeRw" not in (await api("GET", "/containers/c1/json")).json()
    shown = (await api("GET", "/containers/c1/json?size=1")).json()
    assert (shown["SizeRw"], shown["SizeRootFs"]) == (5, 1005)


async def test_top_and_resize(api: Api, create: Create, world: World) -> None:
    id = await create("sleep", "1", start=True)
    assert (await api("GET", "/containers/c1/top?ps_args=aux")).json() == {
        "Titles": ["PID", "CMD"],
        "Processes": [["1", "sleep 1000"]],
    }
    assert world.executor.last() == executor.TopRequest(id=id, ps_args="aux")
    assert (await api("POST", "/containers/c1/resize?h=24&w=80")).status == 200
    assert world.executor.last() == executor.ResizeRequest(id=id, height=24, width=80)


async def test_prune_takes_what_does_not_run(api: Api, create: Create) -> None:
    await create("sleep", "1", name="up", start=True)
    gone = await create("exit", "0", name="down")
    assert (await api("POST", "/containers/prune?" + filtered(label=["x"]))).json() == {
        "ContainersDeleted": None,
        "SpaceReclaimed": 0,
    }
    assert (await api("POST", "/containers/prune")).json() == {"ContainersDeleted": [gone], "SpaceReclaimed": 5}
    assert await names(api, "all=1") == ["up"]


async def test_errors_of_the_executor_are_answered_by_their_kind(api: Api, create: Create, world: World) -> None:
    await create("sleep", "1")
    world.executor.fail["start"] = Unavailable("the engine service platform does not answer; see: shoal status")
    answer = await api("POST", "/containers/c1/start")
    assert (answer.status, answer.message) == (503, "the engine service platform does not answer; see: shoal status")
    world.executor.fail["start"] = RuntimeError("secret detail")
    answer = await api("POST", "/containers/c1/start")
    assert answer.status == 500
    assert "secret" not in answer.message
