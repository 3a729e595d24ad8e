from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from gateway.mirrors import Sources
from shared.bus import Bus
from shared.contracts import image_store
from shared.contracts.common import DockerEvent, Platform
from shared.contracts.image_store import CommitRequest, ListRequest, RemoveRequest, ResolveRequest, TagRequest
from shared.errors import Conflict, InvalidArgument, NotFound
from shared.state import State
from tests.support.waiting import until
from tools import images
from tools.images import docker_archive, oci_layout

Load = Callable[..., Awaitable[list[dict[str, Any]]]]
Transfer = Callable[..., Awaitable[bytes]]
CONTAINER = "c0ffee" * 10


async def resolve(bus: Bus, reference: str, **more: Any) -> image_store.Image:
    return await bus.call(image_store.RESOLVE, ResolveRequest(reference=reference, **more))


async def remove(bus: Bus, reference: str, **more: Any) -> list[str]:
    reply = await bus.call(image_store.REMOVE, RemoveRequest(reference=reference, **more))
    assert all(bool(line.untagged) != bool(line.deleted) for line in reply.removed)
    return [line.untagged or line.deleted for line in reply.removed]


async def test_a_loaded_image_is_found_by_its_names(bus: Bus, load: Load, made: images.Image, name: str) -> None:
    assert await load(docker_archive(made)) == [{"stream": f"Loaded image: {name}:1\n"}]
    for reference in (f"{name}:1", f"docker.io/library/{name}:1", made.id, made.id[7:], made.id[7:31]):
        found = await resolve(bus, reference)
        assert (found.id, found.repo_tags) == (made.id, (f"{name}:1",))
    assert (found.config.cmd, found.config.labels) == (("tool",), {"test": name})
    assert found.diff_ids == tuple(images.digest(layer) for layer in made.layers)
    assert found.created == images.CREATED
    assert found.size > 0


@pytest.mark.parties("real")
@pytest.mark.parametrize("form", ["none", "gzip", "zstd"])
async def test_every_form_of_an_archive_is_the_same_image(
    bus: Bus, load: Load, made: images.Image, name: str, form: images.Compression
) -> None:
    for archive in (docker_archive(made, form), oci_layout(made, form)):
        assert await load(archive) == [{"stream": f"Loaded image: {name}:1\n"}]
        assert (await resolve(bus, f"{name}:1")).id == made.id
        assert await remove(bus, f"{name}:1")


@pytest.mark.parties("real")
async def test_progress_unless_quiet(load: Load, made: images.Image) -> None:
    *steps, last = await load(docker_archive(made), quiet=False)
    assert {step["status"] for step in steps} == {"Loading layer"}
    assert steps[-1]["progressDetail"]["current"] == steps[-1]["progressDetail"]["total"]
    assert "stream" in last


async def test_an_image_without_names(bus: Bus, load: Load, made: images.Image) -> None:
    unnamed = images.Image(made.layers, made.config, ())
    assert await load(docker_archive(unnamed)) == [{"stream": f"Loaded image ID: {made.id}\n"}]
    assert (await resolve(bus, made.id)).repo_tags == ()
    reply = await bus.call(image_store.LIST, ListRequest(filters={"dangling": ("true",)}))
    assert made.id in {image.id for image in reply.images}
    assert made.id in await remove(bus, made.id)


@pytest.mark.parties("real")
async def test_changes_are_told_before_their_answers(bus: Bus, load: Load, made: images.Image, name: str) -> None:
    seen = (await Sources.open(bus)).images
    await seen.known()
    unloaded = seen.count
    await load(docker_archive(made))
    await until(lambda: seen.count > unloaded)  # a stream may be faster than the bus
    child = CommitRequest(parent=made.id, repository=name, tag="child")
    for work in (
        bus.call(image_store.TAG, TagRequest(source=f"{name}:1", repository=name)),
        bus.call(image_store.COMMIT, child),
        remove(bus, name),
        remove(bus, f"{name}:1"),  # what is left of it is what another one stands on
        bus.call(image_store.TAG, TagRequest(source=made.id, repository=name, tag="1")),
        remove(bus, f"{name}:child"),
        remove(bus, f"{name}:1"),
    ):
        before = seen.count
        await work
        assert seen.count > before
        listed = {image.id: image for image in (await bus.call(image_store.LIST, ListRequest())).images}
        known = await seen.known()
        assert {id: (image.repo_tags, image.size) for id, image in known.items()} == {
            id: (image.repo_tags, image.size) for id, image in listed.items()
        }
        for image in known.values():
            for each in (image.id, *image.repo_tags):
                assert seen.whole(each) in (None, await resolve(bus, each))


@pytest.mark.parametrize("reference", ["no-such-image:1", "sha256:" + "0" * 64])
async def test_what_is_not_there_in_dockers_words(bus: Bus, reference: str) -> None:
    with pytest.raises(NotFound, match=f"No such image: {reference}"):
        await resolve(bus, reference)


async def test_upper_case_in_dockers_words(bus: Bus) -> None:
    with pytest.raises(InvalidArgument, match=r"repository name \(library/UPPER\) must be lowercase"):
        await resolve(bus, "UPPER")


async def test_the_platform_asked_for(bus: Bus, load: Load, made: images.Image, name: str) -> None:
    await load(docker_archive(made))
    assert (await resolve(bus, f"{name}:1", platform=Platform(architecture="amd64"))).id == made.id
    with pytest.raises(NotFound, match=r"\(linux/amd64\) does not match the specified platform \(linux/arm64\)"):
        await resolve(bus, f"{name}:1", platform=Platform(architecture="arm64"))


async def test_lists_and_their_filters(bus: Bus, load: Load, made: images.Image, name: str) -> None:
    await load(docker_archive(made))

    async def listed(**filters: tuple[str, ...]) -> set[str]:
        reply = await bus.call(image_store.LIST, ListRequest(filters=filters))
        times = [image.created_ns for image in reply.images]
        assert times == sorted(times, reverse=True)
        return {image.id for image in reply.images}

    assert made.id in await listed()
    assert await listed(label=(f"test={name}",)) == {made.id}
    assert await listed(reference=(name,)) == {made.id}
    assert made.id not in await listed(dangling=("true",))
    with pytest.raises(InvalidArgument, match="invalid filter 'colour'"):
        await listed(colour=("red",))


async def test_tags(bus: Bus, load: Load, made: images.Image, name: str, state: State) -> None:
    await load(docker_archive(made))
    await bus.call(image_store.TAG, TagRequest(source=f"{name}:1", repository=name))
    assert (await resolve(bus, name)).repo_tags == (f"{name}:1", f"{name}:latest")
    record = await state.get(image_store.REFERENCES, bus.node, f"docker.io/library/{name}:latest")
    assert record is not None
    assert record.value.image_id == made.id
    with pytest.raises(NotFound):
        await bus.call(image_store.TAG, TagRequest(source="no-such-image", repository=name))
    with pytest.raises(InvalidArgument, match="must be lowercase"):
        await bus.call(image_store.TAG, TagRequest(source=name, repository="Upper"))
    assert await remove(bus, f"{name}:latest") == [f"{name}:latest"]
    assert await state.get(image_store.REFERENCES, bus.node, f"docker.io/library/{name}:latest") is None


async def test_removing_the_last_name_removes_the_image(bus: Bus, load: Load, made: images.Image, name: str) -> None:
    await load(docker_archive(made))
    assert (await remove(bus, f"{name}:1"))[:2] == [f"{name}:1", made.id]
    with pytest.raises(NotFound):
        await resolve(bus, made.id)
    with pytest.raises(NotFound):
        await remove(bus, f"{name}:1")


async def test_conflicts_in_dockers_words(bus: Bus, load: Load, made: images.Image, name: str) -> None:
    await load(docker_archive(made))
    short, used = made.id[7:19], {made.id: CONTAINER}
    with pytest.raises(Conflict) as refused:
        await remove(bus, f"{name}:1", in_use=used)
    assert refused.value.message == (
        f'conflict: unable to remove repository reference "{name}:1" (must force) - '
        f"container {CONTAINER[:12]} is using its referenced image {short}"
    )
    with pytest.raises(Conflict) as refused:
        await remove(bus, made.id, force=True, in_use=used, running=(made.id,))
    assert refused.value.message == (
        f"conflict: unable to delete {short} (cannot be forced) - "
        f"image is being used by running container {CONTAINER[:12]}"
    )
    await bus.call(image_store.TAG, TagRequest(source=made.id, repository=f"{name}b"))
    with pytest.raises(Conflict, match=r"\(must be forced\) - image is referenced in multiple repositories"):
        await remove(bus, made.id)
    assert {f"{name}:1", f"{name}b:latest", made.id} <= set(await remove(bus, made.id, force=True))


async def test_what_is_saved_can_be_loaded(
    bus: Bus, load: Load, transfer: Transfer, made: images.Image, name: str
) -> None:
    await load(docker_archive(made))
    offer = await bus.call(image_store.SAVE, image_store.SaveRequest(references=(f"{name}:1",)))
    archive = await transfer(offer)
    await remove(bus, f"{name}:1")
    assert await load(archive) == [{"stream": f"Loaded image: {name}:1\n"}]
    assert (await resolve(bus, f"{name}:1")).id == made.id
    with pytest.raises(NotFound):
        await bus.call(image_store.SAVE, image_store.SaveRequest(references=("no-such-image",)))


async def test_a_root_file_system_is_imported(bus: Bus, transfer: Transfer, made: images.Image, name: str) -> None:
    request = image_store.ImportRequest(repository=name, tag="2", changes=("CMD echo hi",))
    answer = await transfer(await bus.call(image_store.IMPORT, request), made.layers[0])
    image = await resolve(bus, f"{name}:2")
    assert image.id.encode() in answer
    assert image.config.cmd == ("/bin/sh", "-c", "echo hi")
    assert image.diff_ids == (images.digest(made.layers[0]),)


@pytest.mark.parametrize("wrong", [{"repository": "Upper"}, {"changes": ("RUN x",)}])
async def test_wrong_imports_are_refused_at_once(bus: Bus, wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument):
        await bus.call(image_store.IMPORT, image_store.ImportRequest(**wrong))


async def test_junk_is_an_error_in_the_answer(load: Load) -> None:
    for junk in (b"junk" * 300, images.tar([images.entry("a")])):
        (line,) = await load(junk)
        assert line["error"]
        assert line["errorDetail"]["message"] == line["error"]


async def test_events_tell_what_happens(bus: Bus, load: Load, made: images.Image, name: str) -> None:
    heard: list[DockerEvent] = []
    deleted = asyncio.Event()

    async def hear(event: DockerEvent) -> None:
        if event.actor == made.id:
            heard.append(event)
        if event.action == "delete":
            deleted.set()

    await bus.listen(image_store.IMAGE_EVENT, hear)
    await load(docker_archive(made))
    await bus.call(image_store.TAG, TagRequest(source=made.id, repository=name, tag="2"))
    await remove(bus, f"{name}:2")
    await remove(bus, f"{name}:1")
    await asyncio.wait_for(deleted.wait(), 60)
    assert [event.action for event in heard] == ["load", "tag", "untag", "untag", "delete"]
    assert heard[1].attributes["name"] == f"{name}:2"
    assert all(event.type == "image" and event.time_ns for event in heard)
