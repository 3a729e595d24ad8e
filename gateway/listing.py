"""Lists and inspections as bytes: what does not change with time is encoded once for each state of a container."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from shared.contracts.executor import UsageEntry
from shared.contracts.scheduler import NodeRecord

from .http.version import Version
from .translate import container as shown
from .translate import nodes
from .translate.status import HOST_DOWN, status_text
from .views import Container

_encoder = msgspec.json.Encoder()


def inspect_bytes(container: Container, version: Version, host: NodeRecord | None = None) -> bytes:
    """The body of inspect, from the container's own store of encoded parts; `host` in a cluster."""
    key = ("inspect", version.minor)
    found = container.parts.get(key)
    if found is None:
        data = shown.inspect(container.spec, container.status, version, container.links) | nodes.of_host(host)
        found = container.parts[key] = _encoder.encode(data) + b"\n"
    return bytes(found)


def _summary_bytes(container: Container, version: Version, by_id: bool) -> bytes:
    """One entry of the list up to the status text, which comes last; `by_id`: its image is called by its id."""
    key = ("summary", version.minor, by_id)
    found = container.parts.get(key)
    if found is None:
        data = shown.summary(container.spec, container.status, version, "", container.aliases)
        if by_id:
            data["Image"] = container.spec.image_id
        found = container.parts[key] = _encoder.encode(data)[: -len(b'""}')]
    return bytes(found)


def list_bytes(
    containers: Iterable[Container],
    version: Version,
    now: int,
    sizes: Mapping[str, UsageEntry] | None = None,
    down: frozenset[str] = frozenset(),
    by_id: frozenset[str] = frozenset(),
) -> bytes:
    """The body of a list: stored parts, and between them the texts that depend on the time.

    `down`: hosts that are not heard of; `by_id`: containers whose reference means their image no more.
    """
    entries = []
    for one in containers:
        text = _encoder.encode(status_text(one.status, now) if one.node not in down else HOST_DOWN)
        size = _encoder.encode(shown.sizes(sizes.get(one.id)))[1:-1] if sizes is not None else b""
        entries.append(_summary_bytes(one, version, one.id in by_id) + text + (b"," + size if size else b"") + b"}")
    return b"[" + b",".join(entries) + b"]\n"
