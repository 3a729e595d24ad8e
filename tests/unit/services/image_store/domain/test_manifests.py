from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.image_store.domain import manifests
from services.image_store.domain.manifests import Chosen, Index, Manifest
from services.image_store.ports import Document
from shared.contracts.common import Platform
from shared.digest import digest_of
from shared.errors import InvalidArgument, NotFound, ShoalError
from shared.reference import parse

OCI, OCI_INDEX = "application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.image.index.v1+json"
DOCKER, DOCKER_LIST = manifests.DOCKER_MANIFEST, manifests.DOCKER_LIST
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
AMD64, ARM64 = Platform(architecture="amd64"), Platform(architecture="arm64")
ZEROS = "sha256:" + "0" * 64
A = parse("a:1")


def document(content: Any, media_type: str = "") -> Document:
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    return Document(media_type=media_type, digest=digest_of(data), data=data)


def descriptor(media_type: str, seed: str = "x", **more: Any) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest_of(seed.encode()), "size": len(seed), **more}


def image(*layers: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"schemaVersion": 2, "config": descriptor(manifests.DOCKER_CONFIG), "layers": list(layers), **more}


def entry(architecture: str, seed: str, **more: Any) -> dict[str, Any]:
    return descriptor(OCI, seed, platform={"os": "linux", "architecture": architecture}, **more)


def chosen(documents: dict[str, Document], reference: str = "a:1", wanted: Platform | None = None) -> Chosen:
    plan = manifests.choose(parse(reference), AMD64, wanted)
    want = next(plan)
    while True:
        try:
            want = plan.send(documents[want.reference])
        except StopIteration as done:
            found: Chosen = done.value
            return found


@pytest.mark.parametrize("media_type", [OCI, DOCKER, f"{OCI}; charset=utf-8", "text/plain", ""])
def test_a_manifest_by_what_came_with_it_or_by_itself(media_type: str) -> None:
    found = manifests.read(document(image(descriptor(LAYER)), media_type))
    assert isinstance(found, Manifest)
    assert found.layers[0].media_type == LAYER
    assert found.document.media_type == (DOCKER if media_type == DOCKER else OCI)


def test_an_index_leads_to_the_hosts_platform_or_the_one_wanted() -> None:
    amd64, arm64 = document(image(), OCI), document(image(descriptor(LAYER)), OCI)
    pointers = [
        {"mediaType": OCI, "digest": each.digest, "size": len(each.data),
         "platform": {"os": "linux", "architecture": architecture}}
        for architecture, each in (("arm64", arm64), ("amd64", amd64))
    ]  # fmt: skip
    index = document({"schemaVersion": 2, "manifests": pointers}, DOCKER_LIST)
    documents = {"1": index, amd64.digest: amd64, arm64.digest: arm64}
    assert chosen(documents).manifest.document == amd64
    assert chosen(documents, wanted=ARM64).manifest.document == arm64
    assert chosen(documents).target == index.digest
    with pytest.raises(NotFound, match="no matching manifest for linux/s390x in the manifest list entries"):
        chosen(documents, wanted=Platform(architecture="s390x"))
    found = manifests.read(index)
    assert isinstance(found, Index)
    assert [each.architecture for each in manifests.platforms_of(found)] == ["arm64", "amd64"]


def test_what_says_something_about_an_image_is_none() -> None:
    note = entry("amd64", "note", annotations={"vnd.docker.reference.type": "attestation-manifest"})
    with pytest.raises(NotFound):
        chosen({"1": document({"schemaVersion": 2, "manifests": [note]}, OCI_INDEX)})


def test_an_entry_without_platform_will_do_when_no_other_does() -> None:
    real = document(image(), OCI)
    pointer = {"mediaType": OCI, "digest": real.digest, "size": len(real.data)}
    index = document({"schemaVersion": 2, "manifests": [entry("arm64", "x"), pointer]}, OCI_INDEX)
    assert chosen({"1": index, real.digest: real}).manifest.document == real


def test_indexes_in_indexes_end_somewhere() -> None:
    loop = {ZEROS: document({"schemaVersion": 2, "manifests": [descriptor(OCI_INDEX) | {"digest": ZEROS}]}, OCI_INDEX)}
    loop["1"] = loop[ZEROS]
    with pytest.raises(InvalidArgument, match="nested deeper"):
        chosen(loop)


@pytest.mark.parametrize(
    ("content", "media_type", "text"),
    [
        (
            {"schemaVersion": 1, "fsLayers": []},
            f"{manifests.DOCKER}.v1+prettyjws",
            "schema 1 support has been removed. Sugg",
        ),
        ({"schemaVersion": 1, "fsLayers": []}, "application/json", "schema 1 support has been removed"),
        (image() | {"fsLayers": []}, OCI, "schema 1 support has been removed"),
        (image(mediaType=OCI_INDEX), OCI, "says it is"),
        (image(mediaType=OCI), OCI_INDEX, "says it is"),
        (image(manifests=[]), OCI, "is no image manifest"),
        (image(), OCI_INDEX, "is no index"),
        ({"manifests": [], "layers": []}, OCI_INDEX, "is no index"),
        ({}, "application/vnd.strange+json", "unsupported media type application/vnd.strange"),
        ({}, OCI, "is no image manifest"),
        (b"[" * 100_000, OCI, "invalid manifest"),
        (b"null", OCI, "invalid manifest"),
        (b"\xff", OCI, "invalid manifest"),
        (image(descriptor(LAYER) | {"digest": "sha256:x"}), OCI, "not a sha256 digest"),
        (image(descriptor(LAYER) | {"digest": "sha512:" + "0" * 128}), OCI, "not a sha256 digest"),
        (image(descriptor(LAYER) | {"size": -1}), OCI, "-1 bytes"),
        (image(descriptor(LAYER) | {"size": 1 << 70}), OCI, "a size of 1180591620717411303424 bytes"),
        (image(*[descriptor(LAYER)] * 501), OCI, "501 layers"),
        ({"manifests": [entry("amd64", "x")] * 1001}, OCI_INDEX, "more than 1000"),
    ],
)
def test_documents_that_are_not_what_they_should_be(content: Any, media_type: str, text: str) -> None:
    with pytest.raises(InvalidArgument, match=text):
        manifests.read(document(content, media_type), A)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", "is a foreign layer"),
        ("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", "is a foreign layer"),
        ("application/vnd.oci.image.layer.v1.tar+encrypted", "unsupported media type"),
        ("application/vnd.cncf.helm.chart.content.v1.tar+gzip", "unsupported media type"),
    ],
)
def test_layers_that_are_none_of_ours(kind: str, text: str) -> None:
    found = manifests.read(document(image(descriptor(kind)), OCI))
    assert isinstance(found, Manifest)
    with pytest.raises(InvalidArgument, match=text):
        manifests.check_image(found)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (manifests.PLUGIN_CONFIG, r'Encountered remote ".*"\(plugin\) when fetching'),
        ("application/vnd.cncf.helm.config.v1+json", "unsupported media type"),
    ],
)
def test_what_is_no_image(kind: str, text: str) -> None:
    found = manifests.read(document({"config": descriptor(kind)}, OCI))
    assert isinstance(found, Manifest)
    with pytest.raises(InvalidArgument, match=text):
        manifests.check_image(found)


def made(config: bytes, *layers: dict[str, Any]) -> Manifest:
    pointer = {"mediaType": manifests.DOCKER_CONFIG, "digest": digest_of(config), "size": len(config)}
    found = manifests.read(document({"config": pointer, "layers": list(layers)}, OCI))
    assert isinstance(found, Manifest)
    return found


def test_configuration_and_manifest_go_together() -> None:
    config = json.dumps({"os": "linux", "architecture": "amd64", "rootfs": {"diff_ids": [ZEROS]}}).encode()
    assert manifests.complete(made(config, descriptor(LAYER)), config).image.diff_ids == (ZEROS,)
    with pytest.raises(InvalidArgument, match="don't match image configuration"):
        manifests.complete(made(config), config)
    with pytest.raises(InvalidArgument, match="config verification failed"):
        manifests.complete(made(config, descriptor(LAYER)), config + b" ")


def test_an_image_for_another_system() -> None:
    config = json.dumps({"os": "windows", "rootfs": {"diff_ids": []}}).encode()
    with pytest.raises(InvalidArgument, match='operating system "windows"'):
        manifests.complete(made(config), config)


@given(st.binary(max_size=200), st.sampled_from([OCI, OCI_INDEX, DOCKER, ""]))
def test_any_bytes(data: bytes, media_type: str) -> None:
    with suppress(ShoalError):
        assert manifests.read(document(data, media_type)).document.data == data
