from __future__ import annotations

import base64
import json
from collections.abc import Awaitable, Callable
from urllib.parse import quote

import msgspec
import pytest

from gateway.routes.images import json_platform
from shared.contracts import image_store, volume
from shared.contracts.common import Descriptor, Platform
from shared.errors import InvalidArgument
from tests.support.gateways import Host, World
from tests.support.http import Answer, connected
from tests.support.simulators.image_store import BUSYBOX

Api = Callable[..., Awaitable[Answer]]
Create = Callable[..., Awaitable[str]]


async def test_list_inspect_history(api: Api) -> None:
    [entry] = (await api("GET", "/images/json")).json()
    assert (entry["RepoTags"], entry["Created"]) == (["busybox:latest"], 1_767_225_600)
    assert (await api("GET", "/images/busybox/json")).json()["Id"] == BUSYBOX.id
    assert (await api("GET", "/images/busybox/history")).json()[0]["Tags"] == ["busybox:latest"]


async def test_what_is_not_there(api: Api) -> None:
    answer = await api("GET", "/images/a/b/c/json")
    assert (answer.status, answer.message) == (404, "No such image: a/b/c:latest")
    assert (await api("GET", "/images/UPPER/json")).status == 400


async def test_tag_and_remove(api: Api, world: World, create: Create) -> None:
    assert (await api("POST", "/images/busybox/tag?repo=a/b&tag=x")).status == 201
    id = await create("sleep", "1", start=True)
    answer = await api("DELETE", "/images/a/b:x?force=1&noprune=1")
    assert answer.json() == [{"Untagged": "a/b:x"}, {"Deleted": BUSYBOX.id}]
    assert world.images.last() == image_store.RemoveRequest(
        reference="a/b:x", force=True, no_prune=True, in_use={BUSYBOX.id: id}, running=(BUSYBOX.id,)
    )


async def test_a_platform_that_is_named_twice_is_removed_once(api: Api, world: World) -> None:
    platform = quote(json.dumps({"os": "linux", "architecture": "amd64"}))
    answer = await api("DELETE", f"/v1.50/images/busybox:latest?platforms={platform}&platforms={platform}")
    assert answer.status == 200, answer.body
    assert sum(isinstance(call, image_store.RemoveRequest) for call in world.images.calls) == 1


async def test_a_load_streams_in_and_answers_in_lines(api: Api, world: World) -> None:
    answer = await api("POST", "/images/load?quiet=0", b"x" * 1_000_000)
    assert answer.json() == {"stream": "Loaded image: busybox:latest\n"}
    assert len(world.images.received) == 1_000_000
    assert world.images.last() == image_store.LoadRequest(quiet=False)


async def test_an_error_before_the_first_line_is_an_http_error_but_for_a_load(api: Api) -> None:
    answer = await api("POST", "/images/create?fromSrc=-")
    assert (answer.status, answer.message) == (400, "empty archive")
    answer = await api("POST", "/images/load")
    assert (answer.status, answer.json()["error"]) == (200, "empty archive")


async def test_half_an_archive_is_not_taken_for_a_whole_one(world: World) -> None:
    async with connected(world.socket) as client:
        await client.send(b"POST /images/load HTTP/1.1\r\nContent-Length: 1000\r\n\r\nhalf")
        client.half_close()
        answer = await client.answer()
    assert answer.status >= 400


async def test_an_import(api: Api, world: World) -> None:
    path = "/images/create?fromSrc=-&repo=r&tag=t&message=m&changes=CMD+x&changes=ENV+a%3Db"
    assert (await api("POST", path, b"tar")).json()["status"].startswith("sha256:")
    assert world.images.last() == image_store.ImportRequest(
        repository="r", tag="t", message="m", changes=("CMD x", "ENV a=b")
    )


@pytest.mark.parametrize(
    ("source", "url"), [("http://h/a.tar", "http://h/a.tar"), ("h:80/a", "http://h:80/a"), ("HTTPS://h", "HTTPS://h")]
)
async def test_an_import_from_a_url(api: Api, world: World, source: str, url: str) -> None:
    await api("POST", f"/images/create?fromSrc={source}&repo=r", b"")
    assert world.images.last() == image_store.ImportRequest(
        source=url, repository="r", message=f"Imported from {source}"
    )


@pytest.mark.parametrize("source", ["", "ftp://h/a", "http:///a", "http://[", "http://[x]/a"])
async def test_what_cannot_be_imported_from(api: Api, source: str) -> None:
    answer = await api("POST", f"/images/create?fromSrc={source}")
    assert (answer.status, "Get " in answer.message) == (400, True)


async def test_a_pull_carries_its_credentials(api: Api, world: World) -> None:
    header = base64.urlsafe_b64encode(json.dumps({"username": "u"}).encode()).decode()
    answer = await api("POST", "/images/create?fromImage=r/i&tag=1&platform=linux/arm64", None, X_Registry_Auth=header)
    assert answer.status == 404
    assert world.images.last() == image_store.PullRequest(
        reference="docker.io/r/i:1", platform=Platform(architecture="arm64"), auth=image_store.Credentials(username="u")
    )


async def test_saving(api: Api, world: World) -> None:
    answer = await api("GET", "/images/busybox/get")
    assert (len(answer.body), answer.headers["content-type"]) == (4 << 20, "application/x-tar")
    await api("GET", "/images/get?names=busybox&names=busybox:latest")
    assert world.images.last() == image_store.SaveRequest(references=("busybox", "busybox:latest"))
    assert (await api("GET", "/images/nope/get")).status == 404
    assert (await api("GET", "/images/get")).status == 400


async def test_prune(api: Api, world: World, create: Create) -> None:
    await create("sleep", "1")
    answer = await api("POST", '/images/prune?filters={"dangling":["false"]}')
    assert answer.json() == {"ImagesDeleted": None, "SpaceReclaimed": 0}
    assert world.images.last() == image_store.PruneRequest(filters={"dangling": ("false",)}, in_use=(BUSYBOX.id,))
    assert (await api("POST", '/images/prune?filters={"dangling":["x"]}')).status == 400


async def test_old_clients_filter_by_a_parameter(api: Api, world: World) -> None:
    await api("GET", "/v1.24/images/json?filter=busy*&all=1")
    assert world.images.last() == image_store.ListRequest(filters={"reference": ("busy*",)}, all=True)


def test_platforms_in_json() -> None:
    assert json_platform('{"os":"linux","architecture":"arm64","variant":"v8"}') == Platform(
        architecture="arm64", variant="v8"
    )
    assert json_platform("") is None


@pytest.mark.parametrize("text", ["x", "[]", '{"os":"linux"}', '{"os":5,"architecture":"a"}', "[" * 5000])
def test_other_platforms_are_refused(text: str) -> None:
    with pytest.raises(InvalidArgument):
        json_platform(text)


async def test_pushing_one_tag_or_all(api: Api, world: World) -> None:
    assert (await api("POST", "/images/r:5/a/b/push?tag=1")).status == 200
    assert world.images.last() == image_store.PushRequest(reference="r:5/a/b:1")
    await api("POST", "/images/r:5/a/push")
    assert world.images.last() == image_store.PushRequest(reference="r:5/a", all_tags=True)


async def test_a_push_that_was_broken_off_does_not_look_complete(api: Api) -> None:
    with pytest.raises(ValueError, match="invalid literal"):  # where the next chunk should be is nothing
        await api("POST", "/images/r:5/broken/push?tag=1")


async def test_pulling_all_tags(api: Api, world: World) -> None:
    for name in ("r:5/a", "r:5/a:"):
        await api("POST", f"/images/create?fromImage={name}")
        assert world.images.last() == image_store.PullRequest(reference="r:5/a", all_tags=True)
    await api("POST", "/images/create?fromImage=r:5/a:2")
    assert world.images.last() == image_store.PullRequest(reference="r:5/a:2")
    digest = "sha256:" + "0" * 64
    await api("POST", f"/images/create?fromImage=a&tag={digest}")
    assert world.images.last() == image_store.PullRequest(reference=f"docker.io/library/a@{digest}")
    await api("POST", "/images/create?fromImage=r:5/a:2&tag=3")
    assert world.images.last() == image_store.PullRequest(reference="r:5/a:3")


FAR = msgspec.structs.replace(BUSYBOX, id="sha256:" + "fa" * 32, repo_tags=("far:latest",), created_ns=1)


async def test_images_of_other_hosts(api: Api, world: World, two: Host) -> None:
    two.images.images["far"] = FAR
    assert [one["Id"] for one in (await api("GET", "/images/json")).json()] == [BUSYBOX.id, FAR.id]
    assert (await api("GET", "/images/far/json")).json()["Id"] == FAR.id
    assert (await api("GET", "/images/far/history")).json()[0]["Id"] == FAR.id
    assert (await api("POST", "/images/far/tag?repo=near&tag=1")).status == 201
    assert ("near:1" in two.images.images, "near:1" in world.images.images) == (True, False)
    assert (await api("GET", "/images/none/json")).message == "No such image: none:latest"


@pytest.mark.parametrize("what", ["json", "history"])
async def test_what_another_host_has_is_asked_for_each_time(api: Api, two: Host, what: str) -> None:
    """It tells nobody here of changes."""
    two.images.images["far"] = FAR
    assert (await api("GET", f"/images/far/{what}")).status == 200
    del two.images.images["far"]
    assert (await api("GET", f"/images/far/{what}")).status == 404


async def test_a_name_that_means_something_here_means_the_tagged_image_from_then_on(
    api: Api, world: World, two: Host
) -> None:
    """It would else go on to mean the other one, without a word."""
    manifest = Descriptor(media_type="m", digest="sha256:d", size=1)
    two.images.images["far"] = msgspec.structs.replace(FAR, descriptor=manifest)
    assert (await api("POST", "/images/far/tag?repo=busybox")).status == 201
    fetched, tagged = [
        call for call in world.images.calls if isinstance(call, image_store.FetchRequest | image_store.TagRequest)
    ]
    assert fetched == image_store.FetchRequest(manifest=manifest, nodes=("node2",), names=("far:latest",))
    assert tagged == image_store.TagRequest(source="far", repository="busybox")
    assert two.images.images["far"].repo_tags == FAR.repo_tags


async def test_an_image_is_removed_from_all_hosts_that_have_it(api: Api, world: World, two: Host) -> None:
    two.images.images["busybox"] = FAR  # means another one there
    two.images.images["same"] = world.images.images["same"] = BUSYBOX
    lines = (await api("DELETE", "/images/same")).json()
    assert lines == [{"Untagged": "same"}, {"Deleted": BUSYBOX.id}]
    assert {"same"}.isdisjoint((*two.images.images, *world.images.images))
    assert (await api("DELETE", "/images/busybox")).status == 200
    assert two.images.images == {"busybox": FAR}
    await api("POST", "/images/prune")
    assert world.images.last() == two.images.last() == image_store.PruneRequest()


async def test_what_only_another_host_has_is_brought_to_be_saved(api: Api, world: World, two: Host) -> None:
    manifest = Descriptor(media_type="m", digest="sha256:d", size=1)
    two.images.images["far"] = msgspec.structs.replace(FAR, descriptor=manifest)
    await api("GET", "/images/get?names=busybox&names=far")
    [asked] = [call for call in world.images.calls if isinstance(call, image_store.FetchRequest)]
    assert asked == image_store.FetchRequest(manifest=manifest, nodes=("node2",), names=("far:latest",))


@pytest.mark.parametrize("query", ["", "&platform=" + quote('{"os":"linux","architecture":"arm64"}')])
async def test_a_name_is_brought_with_all_its_platforms(api: Api, world: World, two: Host, query: str) -> None:
    """Which of them the store then saves, it knows."""
    first, second = (Descriptor(media_type="m", digest=f"sha256:{each}", size=1) for each in "de")
    arm = msgspec.structs.replace(FAR, id="sha256:" + "fb" * 32, descriptor=second, repo_tags=("far:latest", "arm:1"))
    both = tuple(
        image_store.PlatformImage(image_id=image.id, platform=image.platform, manifest=manifest)
        for image, manifest in ((FAR, first), (arm, second))
    )
    two.images.images["far"] = msgspec.structs.replace(FAR, descriptor=first, manifests=both)
    two.images.images["arm:1"] = arm
    await api("GET", f"/images/far/get?{query}")
    asked = [call for call in world.images.calls if isinstance(call, image_store.FetchRequest)]
    wanted = image_store.FetchRequest(manifest=first, nodes=("node2",), names=("far:latest",))
    assert asked == [wanted, msgspec.structs.replace(wanted, manifest=second)]


async def test_what_all_hosts_use_together(api: Api, two: Host) -> None:
    two.images.images["far"] = FAR
    await two.volumes.create(volume.CreateRequest(name="far"))
    data = (await api("GET", "/v1.51/system/df")).json()
    assert (data["LayersSize"], len(data["Images"])) == (2 * 1_984_394, 2)
    assert [(one["Name"], one["UsageData"]["Size"]) for one in data["Volumes"]] == [("far", 7)]
