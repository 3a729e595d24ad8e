from __future__ import annotations

import json
from typing import Any

import pytest

from services.image_store.domain import referrers
from services.image_store.domain.archive import INDEX_TYPE, MANIFEST_TYPE
from services.image_store.ports import Document
from shared.contracts.common import Descriptor
from shared.contracts.distribution import Referrer
from shared.digest import digest_of
from shared.errors import InvalidArgument

ZEROS, ONES = "sha256:" + "0" * 64, "sha256:" + "1" * 64


def document(content: Any, media_type: str = MANIFEST_TYPE) -> Document:
    data = json.dumps(content).encode()
    return Document(media_type=media_type, digest=digest_of(data), data=data)


def signature(**more: Any) -> Document:
    config = {"mediaType": "application/vnd.oci.empty.v1+json", "digest": ONES, "size": 2}
    subject = {"mediaType": MANIFEST_TYPE, "digest": ZEROS, "size": 5}
    return document({"schemaVersion": 2, "config": config, "layers": [], "subject": subject, **more})


def test_the_tag_of_registries_without_referrers() -> None:
    assert referrers.fallback_tag(ZEROS) == "sha256-" + "0" * 64
    assert referrers.fallback_tag("sha512:" + "a" * 128) == "sha512-" + "a" * 64


def test_what_a_manifest_refers_to() -> None:
    assert referrers.subject_of(signature()) == ZEROS
    assert referrers.subject_of(document({"schemaVersion": 2})) == ""


def test_an_index_grows_by_each_referrer_once() -> None:
    one = signature(artifactType="application/x", annotations={"a": "b"})
    index = referrers.with_referrer(None, one)
    assert index is not None
    assert index.media_type == INDEX_TYPE
    assert referrers.with_referrer(index, one) is None
    two = signature()
    both = referrers.with_referrer(index, two)
    assert both is not None
    assert both.digest == digest_of(both.data)
    assert [
        (each.descriptor.digest, each.artifact_type, each.descriptor.annotations) for each in referrers.listed(both)
    ] == [
        (one.digest, "application/x", {"a": "b"}),
        (two.digest, "application/vnd.oci.empty.v1+json", {}),
    ]


def test_what_stands_under_the_tag_and_is_no_index_is_replaced() -> None:
    index = referrers.with_referrer(signature(), signature(annotations={"x": "y"}))
    assert index is not None
    assert len(referrers.listed(index)) == 1


def test_choosing() -> None:
    found = [
        Referrer(descriptor=Descriptor(media_type="m", digest=digest, size=1), artifact_type=kind)
        for digest, kind in ((ZEROS, "a"), (ONES, "b"), (ZEROS, "a"))
    ]
    assert [each.descriptor.digest for each in referrers.chosen(found, "")] == [ZEROS, ONES]
    assert [each.descriptor.digest for each in referrers.chosen(found, "b")] == [ONES]
    assert referrers.chosen(found, "c") == ()


def test_what_is_no_index() -> None:
    with pytest.raises(InvalidArgument, match="is no index"):
        referrers.listed(signature())
    with pytest.raises(InvalidArgument):
        referrers.listed(document({"manifests": [{"digest": "x", "size": 1}]}, INDEX_TYPE))
