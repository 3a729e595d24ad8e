"""Stores that are sound, unfinished or damaged, as the check sees them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from services.image_store.operations.fsck import Check, Finding, names_without_images
from tests.support.image_store import World, small
from tools import images
from tools.images import docker_archive

IMAGE = small("a:1", below=b"below")
LOWER, UPPER = (images.digest(layer) for layer in IMAGE.layers)


@pytest.fixture
async def root(world: World) -> Path:
    """A store with an image and a container, left in order."""
    async with world.store() as store:
        await store.load(docker_archive(IMAGE))
        await store.prepare("c1", "a:1")
    return store.root


def found(root: Path, hashing: bool = True) -> list[Finding]:
    return Check(root, hashing).run().findings


def told(root: Path, hashing: bool = True) -> list[tuple[str, str]]:
    """Levels and texts, without digests."""
    return [(each.level, f"{each.subject[:12]}: {each.text.split(' sha256')[0]}") for each in found(root, hashing)]


def blob(root: Path, digest: str) -> Path:
    return root / "blobs/sha256" / digest[7:]


def layers(root: Path) -> list[Path]:
    """The unpacked layers, lowest first."""
    return sorted(
        (root / "layers").iterdir(), key=lambda path: b'"parent":""' not in (path / "layer.json").read_bytes()
    )


async def test_a_sound_store(root: Path) -> None:
    steps: list[str] = []
    done = Check(root, told=steps.append).run()
    assert done.findings == []
    assert (done.images, done.blobs, done.layers, done.snapshots) == (1, 4, 2, 1)
    assert done.bytes == sum(path.stat().st_size for path in (root / "blobs/sha256").iterdir())
    assert steps[-1].startswith("4 blobs")


async def test_wrong_bytes(root: Path) -> None:
    data = blob(root, LOWER).read_bytes()
    blob(root, LOWER).write_bytes(data.replace(b"below", b"BELOW"))
    levels = [(each.level, each.repair, each.text.partition(":")[0]) for each in found(root)]
    assert levels[:2] == [
        ("damage", "remove", "its bytes are not what its name says"),
        ("damage", "forget", "the image of this manifest is not whole"),
    ]
    assert f"layer {LOWER} is damaged" in found(root)[1].text
    assert found(root, hashing=False) == []


@pytest.mark.parametrize("which", [LOWER, IMAGE.id])
async def test_a_missing_blob(root: Path, which: str) -> None:
    blob(root, which).unlink()
    assert found(root)[0].repair == "forget"
    assert which in found(root)[0].text
    assert "is missing" in found(root)[0].text


async def test_an_unreadable_index(root: Path) -> None:
    (root / "index.json").write_bytes(b'{"schemaVersion":2,"mani')
    check = Check(root)
    assert [(each.subject, each.repair) for each in check.run().findings] == [("index.json", "index")]
    assert list(check.images.values()) == [IMAGE.id]


@pytest.mark.parametrize("content", [b"", b"{}", b'{"imageLayoutVersion":"2.0.0"}'])
async def test_the_mark_of_the_layout(root: Path, content: bytes) -> None:
    (root / "oci-layout").write_bytes(content)
    assert told(root) == [("damage", "oci-layout: does not say imageLayoutVersion 1.0.0")]


async def test_layers_to_be_unpacked_again(root: Path) -> None:
    lower, upper = layers(root)
    shutil.rmtree(lower)
    assert [(each.level, each.repair, each.subject[:9]) for each in found(root)] == [
        ("unfinished", "unpack", f"layers/{lower.name[:2]}"),
        ("unfinished", "remove", f"l/{lower.name[:6]}"[:9]),
    ]
    (upper / "synced").unlink(missing_ok=True)
    (upper / "layer.json").write_bytes((upper / "layer.json").read_bytes().replace(b'"boot":"', b'"boot":"other'))
    assert "was not on disk when the host went down" in found(root)[0].text
    shutil.rmtree(upper / "diff")
    assert found(root)[0].text.startswith("is no unpacked layer")


async def test_what_a_container_stands_on(root: Path) -> None:
    """With the image gone nothing brings a lost layer back: its container's own files are all that is left."""
    (root / "index.json").write_text('{"schemaVersion":2,"manifests":[]}')
    assert {each.level for each in found(root)} == {"unfinished"}
    shutil.rmtree(layers(root)[1])
    damage = [each for each in found(root) if each.level == "damage"]
    assert [(each.subject, each.repair) for each in damage] == [("snapshots/c1", "")]
    shutil.rmtree(root / "snapshots/c1/work")
    assert ("unfinished", "snapshots/c1: was never completed") in told(root)


async def test_leftovers(root: Path) -> None:
    (root / "ingest/abc").mkdir()
    (root / "blobs/sha256/x").touch()
    blob(root, images.digest(b"nobody")).write_bytes(b"nobody")
    (root / "l/none").symlink_to("../layers/none/diff")
    assert told(root) == [
        ("unfinished", "blobs/sha256: is no blob"),
        ("unfinished", "blobs/sha256: is a blob that no image needs"),
        ("unfinished", "ingest/abc: was being taken in"),
        ("unfinished", "l/none: leads to no layer"),
    ]


async def test_what_is_leased_is_no_leftover(root: Path) -> None:
    digest = images.digest(b"kept")
    blob(root, digest).write_bytes(b"kept")
    lease = root / "leases/image-x"
    for until, count in ((1 << 62, 0), (1, 1)):
        lease.write_text(json.dumps({"blobs": [digest], "until": until}))
        assert len(found(root)) == count
    lease.write_text("torn")
    assert len(found(root)) == 1


def test_no_store_is_damage(tmp_path: Path) -> None:
    assert [each.subject for each in Check(tmp_path / "none").run().findings] == ["oci-layout"]


def test_names_that_lead_nowhere() -> None:
    named = [("docker.io/library/b:1", "sha256:2"), ("docker.io/library/a:1", "sha256:1")]
    findings = names_without_images(named, ["sha256:1"])
    assert [(each.subject, each.text) for each in findings] == [
        ("docker.io/library/b:1", "names the image sha256:2, which is not here")
    ]
