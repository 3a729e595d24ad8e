"""What refers to an image in its registry (OCI distribution-spec 1.1, «Listing Referrers»). Pure."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from shared.contracts.distribution import Referrer
from shared.digest import digest_of
from shared.errors import InvalidArgument

from ..ports import Document
from . import archive
from .manifests import Index, Item, read

LONGEST_ALGORITHM, LONGEST_ENCODED = 32, 64
MOST_REFERRERS = 10_000


class _Subject(msgspec.Struct, rename="camel"):
    subject: Item | None = None
    artifact_type: str = ""
    config: Item | None = None
    annotations: dict[str, str] | None = None


def fallback_tag(digest: str) -> str:
    """The tag under which registries without the API have the index of referrers."""
    algorithm, _, encoded = digest.partition(":")
    return f"{algorithm[:LONGEST_ALGORITHM]}-{encoded[:LONGEST_ENCODED]}"


def listed(document: Document) -> tuple[Referrer, ...]:
    """The referrers in an index. Raises `InvalidArgument` for another document."""
    found = read(document)
    if not isinstance(found, Index):
        raise InvalidArgument(f"referrers: {document.digest} is no index")
    return tuple(Referrer(descriptor=each.descriptor(), artifact_type=each.artifact_type) for each in found.items)


def chosen(referrers: Iterable[Referrer], artifact_type: str) -> tuple[Referrer, ...]:
    """Those of one type, all for none; each once."""
    unique = {each.descriptor.digest: each for each in referrers}
    return tuple(each for each in unique.values() if artifact_type in ("", each.artifact_type))


def subject_of(document: Document) -> str:
    """The digest that a manifest refers to, or ""."""
    raw: _Subject = archive.decode(document.data, _Subject, f"manifest {document.digest}")
    return raw.subject.digest if raw.subject else ""


def with_referrer(index: Document | None, manifest: Document) -> Document | None:
    """The fallback tag's index with a manifest added; None when it is there already."""
    known = read(index).items if index is not None and isinstance(read(index), Index) else ()  # type: ignore[union-attr]
    if any(each.digest == manifest.digest for each in known):
        return None
    raw: _Subject = archive.decode(manifest.data, _Subject, f"manifest {manifest.digest}")
    entry = {
        "mediaType": manifest.media_type,
        "digest": manifest.digest,
        "size": len(manifest.data),
        "artifactType": raw.artifact_type or (raw.config.media_type if raw.config else ""),
        "annotations": raw.annotations or {},
    }
    before = archive.decode(index.data, dict[str, object], "index").get("manifests", []) if index and known else []
    assert isinstance(before, list)
    data = msgspec.json.encode({"schemaVersion": 2, "mediaType": archive.INDEX_TYPE, "manifests": [*before, entry]})
    return Document(media_type=archive.INDEX_TYPE, digest=digest_of(data), data=data)
