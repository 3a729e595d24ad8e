"""Legacy links between containers of the default bridge."""

from __future__ import annotations

import msgspec

from shared.contracts import network
from shared.contracts.container import HostConfig
from shared.errors import Conflict, InvalidArgument, NotFound

from ..container import Container
from ..domain import links
from ..domain.validation.modes import joined
from .engine import Engine


def resolved(engine: Engine, asked: HostConfig) -> HostConfig:
    """The configuration with its links as they are kept: by id. Raises for containers that there are none of."""
    found = links.wanted(asked.links, asked.network_mode)
    kept = tuple(f"{_child(engine, name).id}:{alias}" for alias, name in found.items())
    return msgspec.structs.replace(asked, links=kept)


def _child(engine: Engine, name: str) -> Container:
    """The container of that name, or whose network stack it shares."""
    child = engine.registry.find(name)
    if child is None:
        raise InvalidArgument(f"could not get container for {name}: No such container: {name}")
    donor = joined(child.spec.host_config.network_mode)
    if donor is not None:
        return _child(engine, donor)
    if child.spec.host_config.network_mode == "host":
        raise InvalidArgument(
            "conflicting options: host type networking can't be used with links. "
            "This would result in undefined behavior"
        )
    return child


def environment(engine: Engine, container: Container) -> tuple[str, ...]:
    """The variables that it gets of the containers that it links to; raises `Conflict` when one does not run."""
    if links.NETWORK not in container.spec.networks:
        return ()
    found: list[str] = []
    for link in container.spec.host_config.links:
        identity, alias = links.split(link)
        child = engine.registry.find(identity)
        if child is None or not child.running:
            name = child.spec.name if child else identity[:12]
            raise links.not_running(name, container.spec.name, alias)
        settings = child.status.networks.get(links.NETWORK)
        if settings is None:
            raise Conflict(f"Cannot link to /{child.spec.name}, as it does not belong to the default network")
        found += links.environment(container.spec.name, alias, settings.ip_address, child.spec.config)
    return tuple(found)


async def remove(engine: Engine, container: Container, reference: str) -> int:
    """Forgets the link that `parent/alias` names, in its hosts file as well; the revision."""
    alias = reference.removeprefix("/").rpartition("/")[2]
    async with container.lock:
        asked = container.spec.host_config
        rest = links.without(asked.links, alias)
        if len(rest) == len(asked.links):
            raise NotFound(f"No such container: {reference}")
        spec = msgspec.structs.replace(container.spec, host_config=msgspec.structs.replace(asked, links=rest))
        await engine.save_spec(container, spec)
        if container.running:
            await engine.bus.call(network.LINK, network.LinkRequest(container_id=container.id, links=rest))
        return container.spec_revision
