from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from services.image_store.adapters.registry_client import RegistryClient
from services.image_store.adapters.registry_remote import Remote
from services.image_store.adapters.registry_wire import Trust
from services.image_store.domain.registry_answers import RegistryError
from services.image_store.domain.registry_endpoints import Endpoint
from shared.contracts.common import Descriptor
from shared.contracts.image_store import Credentials
from shared.errors import InvalidArgument
from tests.support.fake_registry import OCI_MANIFEST, FakeRegistry, cut
from tools import images

DATA = os.urandom(2_500_000)


@pytest.fixture
async def registry() -> AsyncIterator[FakeRegistry]:
    async with FakeRegistry().served() as made:
        yield made


@pytest.fixture
async def remote(registry: FakeRegistry) -> AsyncIterator[Remote]:
    client = RegistryClient()
    yield Remote(client, Endpoint(registry.url), "a/b", Credentials(), Trust(), 5.0)
    await client.close()


class Told:
    def __init__(self) -> None:
        self.at: list[int] = []

    async def __call__(self, at: int) -> None:
        self.at.append(at)


def blob(registry: FakeRegistry, data: bytes = DATA) -> Descriptor:
    added = registry.add_blob("a/b", data)
    return Descriptor(media_type="x", digest=added["digest"], size=added["size"])


async def test_manifests(remote: Remote, registry: FakeRegistry) -> None:
    digest = registry.add_manifest("a/b", "1", {"schemaVersion": 2}, OCI_MANIFEST)
    for reference in ("1", digest):
        found = await remote.manifest(reference)
        assert (found.media_type, found.digest, json.loads(found.data)) == (OCI_MANIFEST, digest, {"schemaVersion": 2})
    assert "manifest.list.v2" in registry.asked[0].headers["Accept"]
    assert await remote.head("1") == digest
    assert await remote.head("2") == ""
    with pytest.raises(InvalidArgument, match="has 19 bytes, 20 were announced"):
        await remote.manifest(digest, 20)
    with pytest.raises(RegistryError, match="manifest unknown"):
        await remote.manifest("2")
    assert remote.has_answered


async def test_a_manifest_that_is_another(remote: Remote, registry: FakeRegistry) -> None:
    wanted = "sha256:" + "0" * 64
    registry.manifests["a/b", wanted] = (OCI_MANIFEST, b"{}")
    with pytest.raises(InvalidArgument, match="manifest verification failed for digest sha256:000"):
        await remote.manifest(wanted)


async def test_tags_come_in_pages(remote: Remote, registry: FakeRegistry) -> None:
    for number in range(5):
        registry.add_manifest("a/b", f"t{number}", {"n": number}, OCI_MANIFEST)
    assert await remote.tags() == ("t0", "t1", "t2", "t3", "t4")


@pytest.mark.parametrize(
    "link", ['</v2/a/b/tags/list>; rel="next"', "<http://elsewhere/v2/a/b/tags/list>", "<file:///etc>"]
)
async def test_pages_end_and_stay_where_they_are(remote: Remote, registry: FakeRegistry, link: str) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.json_response({"tags": ["x"]}, headers={"Link": link})

    registry.override["GET", "/v2/a/b/tags/list"] = handler
    assert await remote.tags() == ("x",)


async def test_a_blob(remote: Remote, registry: FakeRegistry, tmp_path: Path) -> None:
    told = Told()
    await remote.fetch(blob(registry), tmp_path / "blob", told)
    assert (tmp_path / "blob").read_bytes() == DATA
    assert told.at[-1] == len(DATA)
    assert (tmp_path / "blob").stat().st_mode & 0o777 == 0o600


async def test_a_blob_goes_on(remote: Remote, registry: FakeRegistry, tmp_path: Path) -> None:
    wanted = blob(registry)
    path = f"/v2/a/b/blobs/{wanted.digest}"
    registry.override["GET", path] = cut(DATA, 1_500_000)
    with pytest.raises(RegistryError, match="unexpected EOF") as broken:
        await remote.fetch(wanted, tmp_path / "blob", Told())
    assert broken.value.again
    kept = (tmp_path / "blob").stat().st_size
    assert kept
    del registry.override["GET", path]
    await remote.fetch(wanted, tmp_path / "blob", Told())
    assert (tmp_path / "blob").read_bytes() == DATA
    assert registry.asked[-1].headers["Range"] == f"bytes={kept}-"


async def test_a_blob_that_is_another(remote: Remote, registry: FakeRegistry, tmp_path: Path) -> None:
    wanted = blob(registry)
    registry.blobs[wanted.digest] = DATA[::-1]
    with pytest.raises(
        RegistryError, match=f"filesystem layer verification failed for digest {wanted.digest}"
    ) as wrong:
        await remote.fetch(wanted, tmp_path / "blob", Told())
    assert not wrong.value.again
    assert (tmp_path / "blob").stat().st_size == 0


async def test_what_came_before_may_be_what_is_wrong(remote: Remote, registry: FakeRegistry, tmp_path: Path) -> None:
    (tmp_path / "blob").write_bytes(b"wrong")
    with pytest.raises(RegistryError, match="verification failed") as wrong:
        await remote.fetch(blob(registry), tmp_path / "blob", Told())
    assert wrong.value.again
    (tmp_path / "blob").write_bytes(DATA + b"more")
    await remote.fetch(blob(registry), tmp_path / "blob", Told())
    assert (tmp_path / "blob").read_bytes() == DATA


async def test_blobs_of_other_sizes(remote: Remote, registry: FakeRegistry, tmp_path: Path) -> None:
    wanted = blob(registry)
    short = Descriptor(media_type="x", digest=wanted.digest, size=100)
    with pytest.raises(RegistryError, match="are announced instead of 100") as large:
        await remote.fetch(short, tmp_path / "blob", Told())
    assert not large.value.again
    long = Descriptor(media_type="x", digest=wanted.digest, size=len(DATA) + 1)
    with pytest.raises(RegistryError, match="unexpected EOF"):
        await remote.fetch(long, tmp_path / "blob", Told())


async def test_small_blobs(remote: Remote, registry: FakeRegistry) -> None:
    wanted = blob(registry, b"{}")
    assert await remote.small(wanted) == b"{}"
    registry.blobs[wanted.digest] = b"[]"
    with pytest.raises(InvalidArgument, match="verification failed for digest"):
        await remote.small(wanted)
    with pytest.raises(InvalidArgument, match="at most"):
        await remote.small(Descriptor(media_type="x", digest=images.digest(b"x"), size=1 << 40))


async def test_nobody_there(tmp_path: Path) -> None:
    client = RegistryClient()
    remote = Remote(client, Endpoint("http://localhost:1"), "a", Credentials(), Trust(), 5.0)
    with pytest.raises(
        RegistryError, match=r'^Get "http://localhost:1/v2/a/manifests/1": dial tcp .*: connection refused$'
    ):
        await remote.manifest("1")
    assert not remote.has_answered
    await client.close()
