"""After a restart: what of the host's objects belongs to a sandbox, and what is left over from a crash."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from shared.contracts.network import EndpointRecord

from .naming import is_marked, is_veth, namespace_file, veth
from .sandboxes import SandboxRecord


@dataclass(frozen=True)
class Found:
    """What is on the host and in the store."""

    records: tuple[SandboxRecord, ...]
    namespaces: frozenset[str]
    """Names of the files that pin a namespace or did so before a reboot."""
    alive: frozenset[str]
    """Those that still pin one."""
    links: frozenset[str]
    marks: Mapping[str, str]
    """Interface to alias, of those that have one."""
    endpoints: tuple[EndpointRecord, ...]


@dataclass(frozen=True)
class Mending:
    """What goes on, and what is to be taken away to make all agree."""

    keep: tuple[SandboxRecord, ...]
    lost: tuple[SandboxRecord, ...]
    namespaces: frozenset[str]
    links: frozenset[str]
    endpoints: tuple[EndpointRecord, ...]


def mend(
    found: Found,
    prefix: str,
    needed: Collection[str],
    network_ids: Collection[str],
    shared: Mapping[str, Collection[str]] = {},
) -> Mending:
    """A sandbox goes on when its record, its namespace and its networks are there; all else is taken away.

    `needed` are the host's interfaces that networks need; `shared` those that a network needs while somebody is on it.
    """
    keep = tuple(record for record in found.records if _complete(record, found, network_ids))
    lost = tuple(record for record in found.records if record not in keep)
    files = {namespace_file(record.id) for record in keep if record.mode != "host"}
    veths = {veth(prefix, record.id, entry.slot) for record in keep for entry in record.wired if entry.kind == "veth"}
    used = {
        *needed,
        *(name for record in keep for end in record.attachments for name in shared.get(end.network_id, ())),
    }
    ends = {(end.network_id, end.endpoint_id) for record in keep for end in record.attachments}
    return Mending(
        keep=keep,
        lost=lost,
        namespaces=found.namespaces - files,
        links=frozenset(_stray(found, prefix, veths, used)),
        endpoints=tuple(end for end in found.endpoints if (end.network_id, end.id) not in ends),
    )


def _complete(record: SandboxRecord, found: Found, network_ids: Collection[str]) -> bool:
    if record.mode == "host":
        return True
    return namespace_file(record.id) in found.alive and all(
        attachment.network_id in network_ids for attachment in record.attachments
    )


def _stray(found: Found, prefix: str, veths: Collection[str], needed: Collection[str]) -> Iterable[str]:
    for name in found.links:
        if is_veth(prefix, name):
            if name not in veths:
                yield name
        elif name not in needed and (name.startswith(f"{prefix}-") or is_marked(prefix, found.marks.get(name, ""))):
            yield name
