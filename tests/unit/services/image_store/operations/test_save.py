from __future__ import annotations

import io
import json
import tarfile

import pytest

from services.image_store.domain.catalog import Catalog
from services.image_store.operations.save import named
from shared.contracts import image_store as contract
from shared.contracts.common import Platform
from shared.errors import InvalidArgument, NotFound
from tests.support.fake_registry import FakeRegistry
from tests.support.image_store import Store, World, small
from tests.support.platforms import several_platforms
from tools import images
from tools.images import Compression, docker_archive, oci_layout


def members(archive: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        return {each.name: opened.extractfile(each).read() for each in opened if each.isfile()}  # type: ignore[union-attr]


@pytest.mark.parametrize("form", ["none", "gzip", "zstd"])
async def test_what_is_saved_is_loaded_as_the_same(store: Store, world: World, form: Compression) -> None:
    image = small("a:1", "a:2", below=b"below", Labels={"k": "v"})
    await store.load(docker_archive(image, form))
    before = await store.resolve("a:1")
    archive = await store.save("a:1", "a:2")
    world.settings = type(world.settings)(
        state_dir=str(world.directory / "other"), run_dir=str(world.directory / "other-run")
    )
    world.state = type(world.state)("image_store")
    async with world.store() as other:
        assert await other.load(archive) == [{"stream": "Loaded image: a:1\n"}, {"stream": "Loaded image: a:2\n"}]
        after = await other.resolve("a:2")
        assert (after.id, after.descriptor, after.size) == (before.id, before.descriptor, before.size)
        assert await other.save("a:1", "a:2") == archive


async def test_the_forms_of_docker_25_and_of_oci(store: Store) -> None:
    image = small("a:1")
    await store.load(oci_layout(image))
    found = members(await store.save("a:1"))
    assert json.loads(found["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}
    (item,) = json.loads(found["manifest.json"])
    assert item["RepoTags"] == ["a:1"]
    assert found[item["Config"]] == image.config_json
    (described,) = json.loads(found["index.json"])["manifests"]
    assert described["annotations"]["io.containerd.image.name"] == "docker.io/library/a:1"
    manifest = json.loads(found[f"blobs/sha256/{described['digest'][7:]}"])
    assert f"blobs/sha256/{manifest['layers'][0]['digest'][7:]}" == item["Layers"][0]
    assert json.loads(found["repositories"]) == {"a": {"1": item["Layers"][0].rpartition("/")[2]}}


async def test_by_id_there_are_no_names(store: Store) -> None:
    image = small("a:1")
    await store.load(docker_archive(image))
    found = members(await store.save(image.id))
    assert json.loads(found["manifest.json"])[0]["RepoTags"] is None
    assert "repositories" not in found


async def test_several_images_share_blobs_and_a_repository_means_all_its_tags(store: Store) -> None:
    one, two = small("a:1", content=b"1", below=b"same"), small("a:2", content=b"2", below=b"same")
    for image in (one, two):
        await store.load(docker_archive(image))
    archive = await store.save("a")
    assert [item["RepoTags"] for item in json.loads(members(archive)["manifest.json"])] == [["a:1"], ["a:2"]]
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        names = opened.getnames()
    assert len(names) == len(set(names))
    assert ("save", one.id) in store.told()


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("nope", "No such image: nope"),
        ("nope:1", "reference does not exist"),
        ("0" * 64, f"No such image: sha256:{'0' * 64}"),
    ],
)
async def test_what_is_not_there(store: Store, reference: str, message: str) -> None:
    with pytest.raises(NotFound) as missing:
        await store.save(reference)
    assert missing.value.message == message


async def test_names_that_are_none(catalog: Catalog) -> None:
    with pytest.raises(InvalidArgument):
        named(catalog, ["UPPER"], None)


async def test_another_platform_than_asked_for(store: Store) -> None:
    await store.load(docker_archive(small("a:1")))
    asked = contract.SaveRequest(references=("a:1",), platform=Platform(architecture="s390x"))
    with pytest.raises(NotFound, match="not for linux/s390x"):
        await store.call(contract.SAVE, asked)


async def test_several_platforms_of_one_name(store: Store) -> None:
    made = [images.Image(small(content=name.encode()).layers, {}, (), name) for name in ("amd64", "arm64", "s390x")]
    ids = {image.architecture: image.id for image in made}
    await store.load(several_platforms("a:1", *made))

    def asked(*names: str) -> contract.SaveRequest:
        return contract.SaveRequest(references=("a:1",), platforms=tuple(Platform(architecture=each) for each in names))

    archive = await store.transfer(await store.call(contract.SAVE, asked("arm64", "amd64")))
    blobs = {name.rpartition("/")[2] for name in members(archive)}
    assert {name for name, each in ids.items() if each[7:] in blobs} == {"amd64", "arm64"}
    with pytest.raises(NotFound, match="not for linux/riscv64"):
        await store.call(contract.SAVE, asked("amd64", "riscv64"))

    whole = await store.save("a:1")
    for image_id in ids.values():
        await store.call(contract.REMOVE, contract.RemoveRequest(reference=image_id, force=True))
    wanted = tuple(Platform(architecture=each) for each in ("s390x", "arm64"))
    await store.load(whole, platforms=wanted)
    assert {each.id for each in store.service._catalog.images()} == {ids["s390x"], ids["arm64"]}
    for platform in wanted:
        found = await store.call(contract.RESOLVE, contract.ResolveRequest(reference="a:1", platform=platform))
        assert found.id == ids[platform.architecture]
    lines = await store.load(whole, platforms=(Platform(architecture="riscv64"),))
    assert "no image for platform linux/riscv64" in lines[-1]["error"]


async def test_an_index_is_saved_as_it_came(world: World, registry: FakeRegistry) -> None:
    """The digest that a name stood for in an archive stays, in archives and in registries."""
    made = [images.Image(small(content=name.encode()).layers, {}, (), name) for name in ("amd64", "arm64")]
    archive = several_platforms(f"{registry.name}/a:1", *made)
    (top,) = json.loads(members(archive)["index.json"])["manifests"]
    async with world.store() as store:
        await store.load(archive)
    async with world.store() as store:
        saved = members(await store.save(f"{registry.name}/a:1"))
        (named,) = json.loads(saved["index.json"])["manifests"]
        assert (named["digest"], named["mediaType"], named["size"]) == (top["digest"], top["mediaType"], top["size"])
        path = f"blobs/sha256/{top['digest'][7:]}"
        assert saved[path] == members(archive)[path]
        assert (await store.push(f"{registry.name}/a:1"))[-1]["aux"]["Digest"] == top["digest"]
        asked = contract.SaveRequest(references=(f"{registry.name}/a:1",), platform=Platform())
        alone = members(await store.transfer(await store.call(contract.SAVE, asked)))
        (named,) = json.loads(alone["index.json"])["manifests"]
        assert (named["digest"], path in alone) == (images.digest(registry.manifests["a", named["digest"]][1]), False)
