"""Archives that no honest tool makes. Whoever serves the contract refuses them, and touches nothing outside."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from shared import hostmounts
from shared.bus import Bus
from shared.contracts import image_store
from shared.contracts.image_store import ResolveRequest
from shared.errors import NotFound
from tests.support.mounts import mount
from tools import images
from tools.images import compress, directory, docker_archive, entry, symlink, tar

Load = Callable[..., Awaitable[list[dict[str, Any]]]]
pytestmark = pytest.mark.parties("real")

BOMB = compress(tar([entry("zeros", bytes(60 << 20))]), "zstd") * 4
LAYERS: dict[str, bytes] = {
    "a name that leads out": tar([entry("../escaped", b"x")]),
    "a hard link that leads out": tar([entry("escaped", kind=tarfile.LNKTYPE, link="../../../../etc/passwd")]),
    "through a link that leads out": tar([symlink("out", "/tmp"), entry("out/escaped", b"x")]),
    "a whiteout of nothing": tar([entry(".wh...")]),
    "more entries than allowed": tar([entry(str(number)) for number in range(2001)]),
    "a bomb": BOMB,
    "no archive": b"\1" * 2048,
    "an archive cut inside an entry": tar([entry("a", b"x" * 5000)])[:3000],
    "an unknown kind of entry": tar([entry("a", kind=b"Z")]),
    "a file under a file": tar([entry("a"), entry("a/b")]),
}


@pytest.mark.parametrize("what", LAYERS)
async def test_hostile_layers(bus: Bus, load: Load, name: str, what: str) -> None:
    good = tar([entry("good", name.encode())])
    *_, line = await load(docker_archive(images.Image((good, LAYERS[what]), {}, (f"{name}:1",))))
    assert line["error"]
    with pytest.raises(NotFound):
        await bus.call(image_store.RESOLVE, ResolveRequest(reference=f"{name}:1"))
    assert not Path("/tmp/escaped").exists()


def manifest(**item: Any) -> bytes:
    return json.dumps([item]).encode()


CONFIG = json.dumps({"os": "linux", "architecture": "amd64", "rootfs": {"diff_ids": ["sha256:" + "0" * 64]}}).encode()
ARCHIVES: dict[str, bytes] = {
    "nothing": b"",
    "a pipe for a manifest": tar([entry("manifest.json", kind=tarfile.FIFOTYPE)]),
    "a device for a manifest": tar([entry("manifest.json", kind=tarfile.CHRTYPE, device=(1, 5))]),
    "a directory for a manifest": tar([directory("manifest.json")]),
    "a link to the host for a manifest": tar([symlink("manifest.json", "/etc/passwd")]),
    "deep json": tar([entry("manifest.json", b"[" * 1_000_000)]),
    "a manifest of many megabytes": tar([entry("manifest.json", b" " * (20 << 20))]),
    "a configuration outside": tar([entry("manifest.json", manifest(Config="../../etc/passwd", Layers=[]))]),
    "a layer outside": tar([entry("manifest.json", manifest(Config="c", Layers=["/etc/passwd"])), entry("c", CONFIG)]),
    "a wrong digest": tar(
        [entry("manifest.json", manifest(Config="c", Layers=["l"])), entry("c", CONFIG), entry("l", tar([]))]
    ),
    "a huge extended header": tar([entry("x", pax={"comment": "x" * (2 << 20)})]),
    "a thousand layers": tar(
        [entry("manifest.json", manifest(Config="c", Layers=["l"] * 1000)), entry("l", b""), entry("c", CONFIG)]
    ),
}


@pytest.mark.parametrize("what", ARCHIVES)
async def test_hostile_archives(load: Load, what: str) -> None:
    *_, line = await load(ARCHIVES[what])
    assert line["error"]
    assert line["errorDetail"]["message"] == line["error"]


async def test_attributes_that_the_engine_trusts_are_not_taken(bus: Bus, load: Load, name: str, tmp_path: Path) -> None:
    below = tar([directory("d"), entry("d/seen", b"x")])
    info, _ = directory("d")
    info.pax_headers = {"SCHILY.xattr.trusted.overlay.opaque": "y", "SCHILY.xattr.trusted.overlay.redirect": "/etc"}
    await load(docker_archive(images.Image((below, tar([(info, b"")])), {}, (f"{name}:1",))))
    snapshot = await bus.call(image_store.PREPARE, image_store.PrepareRequest(key=name, reference=f"{name}:1"))
    mount(snapshot, tmp_path)
    try:
        assert (tmp_path / "d/seen").read_bytes() == b"x"
    finally:
        hostmounts.unmount(tmp_path)
