"""SIGKILL at any moment: the store opens again, has all it promised, and nothing it did not finish."""

from __future__ import annotations

import asyncio
import os
import random
from pathlib import Path

import pytest

from shared.contracts import image_store
from shared.contracts.common import Ref
from shared.contracts.image_store import ListRequest, PrepareRequest, RemoveRequest
from shared.errors import NotFound, Unavailable
from tests.integration.services.image_store.conftest import Node
from tests.support.mounts import mount, unmount_below
from tools import images
from tools.images import docker_archive, entry, tar

ROUNDS = 10
LONGEST = 0.2
"""Seconds: about what one load takes here."""


def image(number: int) -> images.Image:
    """Three layers of ten files, one of them common to all."""
    own = [
        tar([entry(f"{part}/{each}", f"{number} {part} {each}".encode() * 1000) for each in range(10)]) for part in "ab"
    ]
    return images.Image((COMMON, *own), {"Labels": {"number": str(number)}}, (f"crash:{number}",))


COMMON = tar([entry(f"common/{each}", b"common" * each) for each in range(10)])


async def check_sound(node: Node) -> None:
    """All blobs are what their names say; nothing is there that no image needs; nothing is half done."""
    listed = (await node.bus.call(image_store.LIST, ListRequest(all=True))).images
    full = [await node.resolve(each.id) for each in listed]
    for blob in (node.root / "blobs/sha256").iterdir():
        assert images.digest(blob.read_bytes()) == f"sha256:{blob.name}"
    diffs = {diff for each in full for diff in each.diff_ids}
    wanted = {each.id for each in full} | {each.descriptor.digest for each in full if each.descriptor} | diffs
    assert {f"sha256:{blob.name}" for blob in (node.root / "blobs/sha256").iterdir()} == wanted
    assert list((node.root / "ingest").iterdir()) == []
    for each in full:
        await check_mounts(node, each)


async def check_mounts(node: Node, one: image_store.Image) -> None:
    """The image's file system is whole."""
    number = one.config.labels["number"]
    snapshot = await node.bus.call(image_store.PREPARE, PrepareRequest(key=f"check-{number}", reference=one.id))
    target = node.root.parent / "mounted"
    target.mkdir(exist_ok=True)
    mount(snapshot, target)
    try:
        assert len([file for part in ("common", "a", "b") for file in (target / part).iterdir()]) == 30
        assert (target / "b/9").read_text() == f"{number} b 9" * 1000
    finally:
        unmount_below(target)
    await node.bus.call(image_store.RELEASE, Ref(id=f"check-{number}"))


async def test_killed_while_it_loads(node: Node) -> None:
    chance = random.Random(20)
    promised: set[int] = set()
    for number in range(ROUNDS):
        loading = asyncio.ensure_future(node.load(docker_archive(image(number), "gzip" if number % 2 else "none")))
        await asyncio.sleep(chance.random() * LONGEST)
        await node.kill()
        await node.start()
        try:
            if await loading == [{"stream": f"Loaded image: crash:{number}\n"}]:
                promised.add(number)
        except (ConnectionError, Unavailable):
            pass
        found = set()
        for each in range(number + 1):
            try:
                found.add((await node.resolve(f"crash:{each}")).config.labels["number"])
            except NotFound:
                continue
        assert {str(each) for each in promised} <= found
    for number in range(ROUNDS):
        await node.load(docker_archive(image(number)))
    assert {str(number) for number in range(ROUNDS)} == {
        (await node.resolve(f"crash:{number}")).config.labels["number"] for number in range(ROUNDS)
    }


@pytest.mark.parametrize("moment", [0.0, 0.02, 0.05, 0.1, 0.15])
async def test_what_it_did_not_finish_is_forgotten(node: Node, moment: float) -> None:
    await node.load(docker_archive(image(1)))
    loading = asyncio.ensure_future(node.load(docker_archive(image(2))))
    await asyncio.sleep(moment)
    await node.kill()
    await node.start()  # a call in flight ends when a new instance tells that it is there
    await asyncio.gather(loading, return_exceptions=True)
    await check_sound(node)
    await node.load(docker_archive(image(2)))
    await check_sound(node)


async def test_killed_while_it_removes(node: Node) -> None:
    chance = random.Random(5)
    for number in range(5):
        for each in (number, number + 100):
            await node.load(docker_archive(image(each)))
        request = RemoveRequest(reference=f"crash:{number}")
        removing = asyncio.ensure_future(node.bus.call(image_store.REMOVE, request))
        await asyncio.sleep(chance.random() * 0.02)
        await node.kill()
        await node.start()
        await asyncio.gather(removing, return_exceptions=True)
        assert (await node.resolve(f"crash:{number + 100}")).config.labels == {"number": str(number + 100)}
        await check_sound(node)


async def test_containers_keep_their_file_system(node: Node, tmp_path: Path) -> None:
    await node.load(docker_archive(image(1)))
    before = await node.bus.call(image_store.PREPARE, PrepareRequest(key="c1", reference="crash:1"))
    target = tmp_path / "mounted"
    target.mkdir()
    mount(before, target)
    try:
        (target / "written").write_text("x")
        await node.kill()
        assert (target / "a/0").exists()
        await node.start()
        assert await node.bus.call(image_store.SNAPSHOT, Ref(id="c1")) == before
        assert (target / "written").read_text() == "x"
    finally:
        unmount_below(target)


async def test_its_helpers_die_with_it(node: Node) -> None:
    channel = await node.begin_load(docker_archive(image(1))[:50_000])
    helper = os.pidfd_open(await node.helper())
    await node.kill()
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(helper, ended.set)
    await asyncio.wait_for(ended.wait(), 60)
    loop.remove_reader(helper)
    os.close(helper)
    channel.close()
    await node.start()
    assert list((node.root / "ingest").iterdir()) == []
