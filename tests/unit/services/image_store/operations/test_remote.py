from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from services.image_store.ports import Document
from shared.contracts import distribution as contract
from shared.contracts.distribution import Credentials
from shared.errors import InvalidArgument, NotFound, ResourceExhausted, Unauthenticated, Unknown
from tests.support.certificates import Authority
from tests.support.fake_registry import (
    DOCKER_LIST,
    DOCKER_MANIFEST,
    OCI_INDEX,
    OCI_MANIFEST,
    FakeRegistry,
    basic,
    bearer,
)
from tests.support.image_store import Store, small
from tools import images

USER = Credentials(username="u", password="p")


async def login(store: Store, address: str, auth: Credentials = USER) -> contract.LoginReply:
    return await store.call(contract.LOGIN, contract.LoginRequest(server_address=address, auth=auth))


async def test_logging_in_with_a_password(store: Store, registry: FakeRegistry) -> None:
    assert await login(store, registry.name) == contract.LoginReply(status="Login Succeeded")
    registry.challenge, registry.accepted = 'Basic realm="r"', {basic("u", "p")}
    for address in (registry.name, registry.url, f"http://{registry.name}/v2/"):
        assert (await login(store, address)).status == "Login Succeeded"
    with pytest.raises(Unknown, match=r"login attempt to http://.*/v2/ failed with status: 401 Unauthorized"):
        await login(store, registry.name, Credentials(username="u", password="x"))
    with pytest.raises(Unknown, match=r"no basic auth credentials"):
        await login(store, registry.name, Credentials())


async def test_logging_in_for_a_token(store: Store, registry: FakeRegistry) -> None:
    bearer(registry)
    assert await login(store, registry.name) == contract.LoginReply(
        status="Login Succeeded", identity_token="refreshed"
    )
    asked = registry.asked[-2]
    assert (asked.query["offline_token"], asked.query["client_id"], asked.query["account"]) == ("true", "docker", "u")
    registry.refuse_login = True
    with pytest.raises(Unauthenticated, match=r'^Get "http://.*/v2/": unauthorized: incorrect username or password$'):
        await login(store, registry.name, Credentials(username="u", password="x"))


async def test_an_identity_token_instead_of_a_password(store: Store, registry: FakeRegistry) -> None:
    bearer(registry)
    await login(store, registry.name, Credentials(username="u", identity_token="mine"))
    token = next(each for each in registry.asked if each.path == "/token")
    assert (token.method, token.form["grant_type"], token.form["refresh_token"]) == ("POST", "refresh_token", "mine")


async def test_a_password_does_not_go_out_in_the_clear_after_a_refusal(store: Store, tmp_path: Path) -> None:
    async with FakeRegistry().served(Authority(tmp_path).server()) as registry:
        registry.challenge = 'Basic realm="r"'
        with pytest.raises(Unknown, match="login attempt to https://"):
            await login(store, registry.name)


@pytest.mark.parametrize("address", ["http://u:p@r/", "http://", "http://["])
async def test_addresses_that_are_none(store: Store, address: str) -> None:
    with pytest.raises(InvalidArgument, match="unable to parse server address"):
        await login(store, address)


async def test_nobody_there(store: Store) -> None:
    with pytest.raises(Unknown, match=r'Get "http://localhost:1/v2/": dial tcp .*: connect: connection refused'):
        await login(store, "localhost:1")
    with pytest.raises(Unknown, match="connection refused"):
        await store.call(contract.DISTRIBUTION, contract.DistributionRequest(reference="localhost:1/a"))


async def test_searching(store: Store, registry: FakeRegistry) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.json_response({"results": [{"name": request.query["q"], "star_count": int(request.query["n"])}]})

    registry.override["GET", "/v1/search"] = answer

    async def found(**more: Any) -> tuple[contract.SearchResult, ...]:
        asked = contract.SearchRequest(term=f"{registry.name}/a", **more)
        return (await store.call(contract.SEARCH, asked)).results

    assert await found() == (contract.SearchResult(name="a", stars=25),)
    assert await found(filters={"is-automated": ("true",)}) == ()
    del registry.override["GET", "/v1/search"]
    with pytest.raises(Unknown, match="Unexpected status code 404"):
        await found()


async def inspect(store: Store, reference: str) -> contract.DistributionReply:
    return await store.call(contract.DISTRIBUTION, contract.DistributionRequest(reference=reference))


@pytest.mark.parametrize("kind", [DOCKER_MANIFEST, OCI_MANIFEST])
async def test_what_a_registry_has(store: Store, registry: FakeRegistry, kind: str) -> None:
    digest = registry.add("a", "latest", small(), media_type=kind)
    found = await inspect(store, f"{registry.name}/a")
    assert (found.digest, found.media_type, found.size) == (digest, kind, len(registry.manifests["a", digest][1]))
    assert [(each.os, each.architecture) for each in found.platforms] == [("linux", "amd64")]
    assert (await inspect(store, f"{registry.name}/a@{digest}")).digest == digest
    with pytest.raises(NotFound, match="manifest unknown: manifest unknown"):
        await inspect(store, f"{registry.name}/a:2")
    with pytest.raises(InvalidArgument, match="no manifest found for full image ID"):
        await inspect(store, "0" * 64)


async def test_the_platforms_of_an_index(store: Store, registry: FakeRegistry) -> None:
    platforms = ({"os": "linux", "architecture": "arm", "variant": "v7"}, {"os": "linux", "architecture": "s390x"})
    entry = {"mediaType": DOCKER_MANIFEST, "digest": "sha256:" + "0" * 64, "size": 5}
    items = [entry | {"platform": platform} for platform in platforms]
    registry.add_manifest("a", "1", {"schemaVersion": 2, "manifests": items}, DOCKER_LIST)
    found = await inspect(store, f"{registry.name}/a:1")
    assert [(each.architecture, each.variant) for each in found.platforms] == [("arm", "v7"), ("s390x", "")]


def refer(registry: FakeRegistry, digest: str, kind: str, content: bytes = b"statement") -> dict[str, Any]:
    empty = registry.add_blob("a", b"{}")
    return {
        "schemaVersion": 2, "mediaType": OCI_MANIFEST, "artifactType": kind,
        "config": {"mediaType": "application/vnd.oci.empty.v1+json", **empty},
        "layers": [{"mediaType": kind, **registry.add_blob("a", content)}],
        "subject": {"mediaType": DOCKER_MANIFEST, "digest": digest, "size": 5},
    }  # fmt: skip


async def referrers(store: Store, registry: FakeRegistry, **more: Any) -> contract.ReferrersReply:
    asked = contract.ReferrersRequest(reference=f"{registry.name}/a:1", **more)
    return await store.call(contract.REFERRERS, asked)


@pytest.mark.parametrize("api", [True, False])
async def test_what_refers_to_an_image(store: Store, registry: FakeRegistry, api: bool) -> None:
    """By the API, and by the tag that registries without it have."""
    image = registry.add("a", "1", small())
    registry.referrers = api
    made = [registry.add_manifest("a", f"r{kind}", refer(registry, image, f"application/{kind}"), OCI_MANIFEST)
            for kind in ("sig", "sbom")]  # fmt: skip
    if not api:
        items = [
            {"mediaType": OCI_MANIFEST, "digest": digest, "size": len(registry.manifests["a", digest][1])}
            | {"artifactType": f"application/{kind}"}
            for digest, kind in zip(made, ("sig", "sbom"), strict=True)
        ]
        registry.add_manifest("a", f"sha256-{image[7:]}", {"schemaVersion": 2, "manifests": items}, OCI_INDEX)
    found = await referrers(store, registry)
    assert found.digest == image
    assert {each.descriptor.digest for each in found.referrers} == set(made)
    (signature,) = (await referrers(store, registry, artifact_type="application/sig", content=True)).referrers
    assert signature.artifact_type == "application/sig"
    assert signature.content is not None
    assert images.digest(signature.content.manifest) == signature.descriptor.digest
    assert signature.content.blobs == (b"statement",)
    (only,) = (await referrers(store, registry, digest=made[1], content=True)).referrers
    assert (only.descriptor.digest, only.content is not None) == (made[1], True)
    with pytest.raises(NotFound, match="does not refer to"):
        await referrers(store, registry, digest=image)


async def test_an_image_that_nothing_refers_to(store: Store, registry: FakeRegistry) -> None:
    registry.add("a", "1", small())
    assert (await referrers(store, registry)).referrers == ()
    registry.referrers = False
    assert (await referrers(store, registry, content=True)).referrers == ()


async def test_what_refers_may_be_too_much_for_one_answer(store: Store, registry: FakeRegistry) -> None:
    image = registry.add("a", "1", small())
    registry.add_manifest("a", "r", refer(registry, image, "x/y", bytes(1 << 20)), OCI_MANIFEST)
    with pytest.raises(ResourceExhausted, match="choose one"):
        await referrers(store, registry, content=True)
    assert len((await referrers(store, registry)).referrers) == 1


async def test_a_pushed_referrer_is_found_in_registries_that_know_none(store: Store, registry: FakeRegistry) -> None:
    image = registry.add("a", "1", small())
    document = refer(registry, image, "x/y")
    registry.referrers = False
    _, repository = await store.service._registry.repositories(registry.name, "a", Credentials())
    data = json.dumps(document).encode()
    for _ in range(2):
        await repository.put_manifest(
            images.digest(data), Document(media_type=OCI_MANIFEST, digest=images.digest(data), data=data)
        )
    assert [each.artifact_type for each in (await referrers(store, registry)).referrers] == ["x/y"]
