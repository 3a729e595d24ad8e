"""Which containers have no host any more, and what they ask of the next one. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Container, Iterator, Mapping, Set

from shared.contracts.container import ContainerSpec
from shared.contracts.executor import CreateRequest
from shared.contracts.movable import MovableRecord

from .asking import Known, ask_of
from .facts import Ask, Bond


def homeless(records: Mapping[str, MovableRecord], lost: Container[str], migrating: Container[str]) -> Iterator[str]:
    """Containers to be started elsewhere: their host is lost, or none took them yet."""
    for id, record in records.items():
        if record.wanted and not record.removed and id not in migrating and (not record.node or record.node in lost):
            yield id


def ask(spec: ContainerSpec, avoid: Set[str], known: Known) -> Ask:
    """As its creator asked, but on none of the hosts to avoid."""
    request = CreateRequest(
        config=spec.config, host_config=spec.host_config, networks=spec.networks, name=spec.name, platform=spec.platform
    )
    asked = ask_of(request, spec.image_id, spec.platform, known)
    away = Bond(frozenset(avoid), "not available", apart=True)
    return dataclasses.replace(asked, bonds=(*asked.bonds, away))
