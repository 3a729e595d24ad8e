from __future__ import annotations

import asyncio
import json
import os
from typing import Any

import pytest

from shared.contracts.common import Platform
from shared.errors import NotFound
from tests.support.fake_registry import DOCKER_MANIFEST, FakeRegistry
from tests.support.image_store import Store, small
from tests.support.platforms import several_platforms
from tools import images
from tools.images import Compression, directory, docker_archive, entry, oci_layout, symlink, tar


@pytest.mark.parametrize("form", ["none", "gzip", "zstd"])
@pytest.mark.parametrize("archive", [docker_archive, oci_layout])
async def test_every_form_of_an_archive_is_the_same_image(store: Store, archive: Any, form: Compression) -> None:
    image = small("a:1", "b:2", below=b"below", Cmd=["sh"], Labels={"k": "v"})
    assert await store.load(archive(image, form)) == [
        {"stream": "Loaded image: a:1\n"},
        {"stream": "Loaded image: b:2\n"},
    ]
    found = await store.resolve("a:1")
    assert (found.id, found.repo_tags, found.config.cmd) == (image.id, ("a:1", "b:2"), ("sh",))
    assert (found.size, [step.size for step in found.history]) == (12, [5, 7])
    assert found.diff_ids == tuple(images.digest(layer) for layer in image.layers)
    assert store.leftovers() == []


async def test_progress_as_docker_shows_it(store: Store) -> None:
    image = small("a:1")
    first, last, loaded = await store.load(docker_archive(image), quiet=False)
    size = len(image.layers[0])
    assert first["status"] == last["status"] == "Loading layer"
    assert last["progressDetail"] == {"current": size, "total": size}
    assert last["id"] == images.digest(image.layers[0])[7:19]
    assert loaded == {"stream": "Loaded image: a:1\n"}
    assert await store.load(docker_archive(image), quiet=False) == [loaded]


async def test_an_image_without_names(store: Store) -> None:
    image = small()
    assert await store.load(docker_archive(image)) == [{"stream": f"Loaded image ID: {image.id}\n"}]
    assert (await store.resolve(image.id[7:19])).repo_tags == ()


async def test_a_name_that_another_image_had(store: Store) -> None:
    old, new = small("a:1", content=b"old"), small("a:1", content=b"new")
    await store.load(docker_archive(old))
    assert await store.load(docker_archive(new)) == [
        {"stream": f"The image a:1 already exists, renaming the old one with ID {old.id} to empty string\n"},
        {"stream": "Loaded image: a:1\n"},
    ]
    assert (await store.resolve("a:1")).id == new.id
    assert (await store.resolve(old.id)).repo_tags == ()


async def test_events(store: Store) -> None:
    image = small("a:1", Labels={"k": "v"})
    await store.load(docker_archive(image))
    (event,) = store.events
    assert (event.action, event.actor, event.attributes) == ("load", image.id, {"k": "v", "name": image.id})


async def test_several_images_share_their_layers(store: Store) -> None:
    one, two = small("a:1", content=b"one", below=b"same"), small("b:1", content=b"two", below=b"same")
    await store.load(docker_archive(one, "gzip"))
    await store.load(oci_layout(two, "none"))
    trees = list((store.root / "layers").iterdir())
    assert len(trees) == 3


async def test_two_loads_at_once_unpack_each_layer_once(store: Store) -> None:
    image = small("a:1", below=b"below")
    archive = docker_archive(image)
    answers = await asyncio.gather(*(store.load(archive, quiet=False) for _ in range(3)))
    unpacked = [line["id"] for answer in answers for line in answer if line.get("status") == "Loading layer"]
    assert len(unpacked) == 4  # each of two layers tells its begin and its end
    assert all(answer[-1] == {"stream": "Loaded image: a:1\n"} for answer in answers)


async def test_the_manifest_that_came_with_it_is_kept(store: Store) -> None:
    layout = oci_layout(small("a:1"))
    await store.load(layout)
    descriptor = (await store.resolve("a:1")).descriptor
    assert descriptor is not None
    assert f"blobs/sha256/{descriptor.digest[7:]}".encode() in layout


async def test_an_archive_without_manifests_takes_none_from_an_image_that_has_one(store: Store) -> None:
    await store.load(oci_layout(small("a:1")))
    before = await store.resolve("a:1")
    await store.load(docker_archive(small("a:2"), "none"))
    after = await store.resolve("a:2")
    assert (after.descriptor, after.repo_tags) == (before.descriptor, ("a:1", "a:2"))


async def test_platforms_of_one_index_that_come_one_by_one(store: Store) -> None:
    """As with a pull, the second joins the first under their name; that of another index takes the name over."""
    made = [images.Image(small(content=name.encode()).layers, {}, (), name) for name in ("amd64", "arm64")]
    archive = several_platforms("a:1", *made)
    for image in made:
        await store.load(archive, platform=Platform(architecture=image.architecture))
    members = store.service._catalog.family("a:1")
    assert set(members) == {image.id for image in made}
    other = images.Image(small(content=b"new").layers, {}, (), "arm64")
    await store.load(several_platforms("a:1", made[0], other), platform=Platform(architecture="arm64"))
    assert store.service._catalog.family("a:1") == (other.id,)


async def test_docker_manifests_in_a_layout_go_to_a_registry(store: Store, registry: FakeRegistry) -> None:
    """As containerd exports what it pulled: the media types of schema 2 stay."""
    digest = registry.add("a", "1", small())
    document = registry.manifests["a", digest][1]
    blobs = {f"blobs/sha256/{each[7:]}": data for each, data in (*registry.blobs.items(), (digest, document))}
    name = {"io.containerd.image.name": f"{registry.name}/b:1"}
    top = {"mediaType": DOCKER_MANIFEST, "digest": digest, "size": len(document), "annotations": name}
    blobs["index.json"] = json.dumps({"schemaVersion": 2, "manifests": [top]}).encode()
    await store.load(tar([entry(path, data) for path, data in blobs.items()]))
    assert (await store.push(f"{registry.name}/b:1"))[-1]["aux"]["Digest"] == digest
    assert registry.manifests["b", "1"] == registry.manifests["a", "1"]


async def test_saved_by_older_engines_with_links_for_equal_layers(store: Store) -> None:
    image = small("a:1", below=b"below")
    first, second = image.layers
    names = {"1/layer.tar": first, "2/layer.tar": second}
    manifest = [{"Config": "c.json", "RepoTags": ["a:1"], "Layers": ["1/layer.tar", "3/layer.tar"]}]
    entries = [entry(name, data) for name, data in names.items()]
    entries += [symlink("3/layer.tar", "../2/layer.tar"), entry("c.json", image.config_json)]
    assert await store.load(tar([*entries, entry("manifest.json", json.dumps(manifest).encode())])) == [
        {"stream": "Loaded image: a:1\n"}
    ]


async def test_only_the_platform_asked_for(store: Store) -> None:
    arm = images.Image(small().layers, {}, ("a:1",), "arm64")
    (line,) = await store.load(docker_archive(arm), platform=Platform(architecture="amd64"))
    assert "no image for platform linux/amd64" in line["error"]
    assert await store.load(docker_archive(arm), platform=Platform(architecture="arm64"))
    assert (await store.resolve("a:1")).platform.architecture == "arm64"


def wrong_diff_id(form: Compression) -> bytes:
    """The layer of one image with the configuration of another."""
    other = images.Image([tar([entry("other")])], {}, ("a:1",))
    packed = {"l": images.compress(small().layers[0], form), "c.json": other.config_json}
    manifest = [{"Config": "c.json", "Layers": ["l"]}]
    entries = [entry(name, data) for name, data in packed.items()]
    return tar([*entries, entry("manifest.json", json.dumps(manifest).encode())])


def of_layer(layer: bytes) -> bytes:
    return docker_archive(images.Image([small().layers[0], layer], {}, ("a:1",)))


REFUSED = {
    "junk": (b"junk" * 300, "invalid tar header"),
    "nothing": (b"", "does not contain a manifest.json"),
    "cut short": (docker_archive(small("a:1"))[:3000], "unexpected EOF"),
    "wrong diff id": (wrong_diff_id("none"), 'invalid diffID for layer 0: expected "sha256:'),
    "wrong diff id, packed": (wrong_diff_id("gzip"), 'invalid diffID for layer 0: expected "sha256:'),
    "a pipe for a manifest": (tar([entry("manifest.json", kind=b"6")]), "not a regular file"),
    "a link for a manifest": (tar([symlink("manifest.json", "/etc/passwd")]), "is missing"),
    "deep json": (tar([entry("manifest.json", b"[" * 500_000)]), "invalid manifest.json"),
    "an escape in the second layer": (of_layer(tar([entry("../../x")])), "outside of the archive"),
    "a bomb in the second layer": (of_layer(images.compress(bytes(60 << 20), "zstd") * 2), "max_unpack"),
    "a layer that is no archive": (of_layer(b"x" * 1024), "invalid tar header"),
    "an unknown compression": (of_layer(b"BZh9" + bytes(600)), "bzip2 compression is not supported"),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_what_is_refused_leaves_nothing(store: Store, name: str) -> None:
    archive, message = REFUSED[name]
    *_, line = await store.load(archive)
    assert message in line["error"]
    assert line["errorDetail"]["message"] == line["error"]
    assert line["errorDetail"]["code"] == 400
    assert store.leftovers() == []
    assert store.blobs() == set()
    assert list((store.root / "layers").iterdir()) == []
    with pytest.raises(NotFound):
        await store.resolve("a:1")


async def test_a_refused_archive_takes_nothing_of_others(store: Store) -> None:
    await store.load(docker_archive(small("a:1")))
    before = store.blobs()
    await store.load(of_layer(tar([entry("../../x")])))
    assert store.blobs() == before
    assert (await store.prepare("c1", "a:1")).mounts


async def test_whiteouts_arrive_in_the_tree(store: Store) -> None:
    below = tar([directory("d"), entry("d/old", b"x"), directory("e"), entry("e/old", b"x")])
    above = tar([entry("d/.wh.old"), entry("e/.wh..wh..opq"), entry("e/new", b"y")])
    await store.load(docker_archive(images.Image([below, above], {}, ("a:1",))))
    (mount,) = (await store.prepare("c1", "a:1")).mounts
    top = mount.options[0].removeprefix("lowerdir=").split(":")[0]
    assert os.lstat(f"{top}/d/old").st_rdev == 0
    assert os.getxattr(f"{top}/e", "trusted.overlay.opaque") == b"y"
