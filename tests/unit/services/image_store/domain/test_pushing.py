from __future__ import annotations

import json
from typing import Any

from services.image_store.domain import manifests, pushing
from services.image_store.domain.catalog import Catalog, Stored
from services.image_store.domain.manifests import Manifest
from services.image_store.ports import Document
from shared.contracts.common import Descriptor
from shared.contracts.image_store import Image, ReferenceRecord
from shared.digest import digest_of
from shared.reference import parse

OCI = "application/vnd.oci.image.manifest.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
ZEROS, ONES = "sha256:" + "0" * 64, "sha256:" + "1" * 64


def manifest(*kinds: str, **more: Any) -> Manifest:
    layers = [{"mediaType": kind, "digest": digest_of(kind.encode()), "size": 5} for kind in kinds]
    config = {"mediaType": manifests.DOCKER_CONFIG, "digest": ZEROS, "size": 2}
    data = json.dumps({"schemaVersion": 2, "config": config, "layers": layers, **more}).encode()
    found = manifests.read(Document(media_type=OCI, digest=digest_of(data), data=data))
    assert isinstance(found, Manifest)
    return found


def test_plain_layers_are_compressed_and_others_go_as_they_are() -> None:
    docker = "application/vnd.docker.image.rootfs.diff.tar"
    found = pushing.layers(
        manifest(LAYER, f"{LAYER}+zstd", docker, f"{docker}.gzip"), Image(id="", diff_ids=(ZEROS, ONES, ZEROS, ONES))
    )
    assert [(each.media_type, each.compress) for each in found] == [
        (f"{LAYER}+gzip", True), (f"{LAYER}+zstd", False), (f"{docker}.gzip", True), (f"{docker}.gzip", False),
    ]  # fmt: skip
    assert found[1].diff_id == ONES


def test_a_manifest_whose_layers_stay_stays_the_same_to_the_byte() -> None:
    made = manifest(f"{LAYER}+gzip", f"{LAYER}+zstd", annotations={"a": "b"})
    assert pushing.with_layers(made.document, made.layers) is made.document


def test_a_manifest_with_other_layers_keeps_all_else() -> None:
    made = manifest(LAYER, f"{LAYER}+gzip", annotations={"a": "b"})
    new = Descriptor(media_type=f"{LAYER}+gzip", digest=ONES, size=3)
    changed = pushing.with_layers(made.document, (new, made.layers[1]))
    assert changed.digest == digest_of(changed.data)
    expected = json.loads(made.document.data)
    expected["layers"][0] = {"mediaType": f"{LAYER}+gzip", "digest": ONES, "size": 3}
    assert json.loads(changed.data) == expected
    assert changed.media_type == OCI


def test_where_a_layer_may_be_already() -> None:
    catalog = Catalog()
    for number, (blob, name) in enumerate(
        [(ONES, "r:5/team/a:1"), (ONES, "r:5/other:1"), (ONES, "r:5/team/b/c:1"), (ZEROS, "r:5/team/z:1"),
         (ONES, "q.io/x:1"), (ONES, "r:5/p:1"), (ONES, "r:5/q:1")]
    ):  # fmt: skip
        image_id = digest_of(bytes([number]))
        descriptor = Descriptor(media_type="m", digest=ZEROS, size=1)
        catalog.add(Stored(image=Image(id=image_id), manifest=descriptor, blobs=frozenset({blob}), chains=()))
        catalog.name(ReferenceRecord(reference=name, image_id=image_id))
    assert pushing.sources(catalog, parse("r:5/team/b/d:2"), {ONES}) == ("team/b/c", "team/a", "other")
    assert pushing.sources(catalog, parse("r:5/team/a"), {ONES})[0] == "team/b/c"
    assert pushing.sources(catalog, parse("elsewhere.io/a"), {ONES}) == ()
