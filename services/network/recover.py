"""At the service's start: host, records and store are brought to agree."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable

from shared.config import Settings
from shared.contracts.network import ENDPOINTS, EndpointRecord
from shared.state import State

from .adapters.links import HostLinks
from .announcer import Announcer
from .catalog import Catalog
from .domain import naming
from .domain.recovery import Found, Mending, mend
from .domain.sandboxes import SandboxRecord
from .sandboxes import Host, Sandboxes

log = logging.getLogger(__name__)


async def recover(
    settings: Settings,
    node: str,
    state: State,
    catalog: Catalog,
    links: HostLinks,
    host: Host,
    sandboxes: Sandboxes,
    announcer: Announcer,
) -> None:
    """Goes on with every sandbox that is whole and takes away what is not, so that nothing leaks by any crash."""
    view = await state.view(ENDPOINTS)
    endpoints = [entry.value for _, entry in view.items(ENDPOINTS) if entry.value.node == node]
    view.stop()
    found = await asyncio.to_thread(_look, links, host, endpoints)
    mending = mend(
        found,
        settings.interface_prefix,
        # without its device the tunnel of encrypted networks would go on and carry nothing
        catalog.interfaces() | ({naming.tunnel(settings.interface_prefix)} if catalog.spanning is not None else set()),
        [spec.id for spec in catalog.all()],
        catalog.shared_interfaces(),
    )
    for record in mending.keep:
        sandboxes.adopt(record)
    await _restore(catalog, mending.keep)
    await asyncio.to_thread(sandboxes.replace_rules, sandboxes.all())
    await asyncio.gather(*(sandboxes.resolver.resume(record) for record in mending.keep))
    host.proxy.sweep()
    await asyncio.to_thread(_clear, links, host, mending)
    for endpoint in endpoints:
        announcer.known(endpoint)
    for endpoint in mending.endpoints:
        announcer.retract(endpoint.network_id, endpoint.id)
    for record in mending.keep:
        sandboxes.tell(record)
    if catalog.spanning is not None:
        catalog.spanning.resume()
    log.info("recovered %d sandboxes; gone meanwhile: %d", len(mending.keep), len(mending.lost))


async def _restore(catalog: Catalog, records: Iterable[SandboxRecord]) -> None:
    """Networks across hosts have their bridges here exactly while containers here are on them."""
    across = catalog.spanning
    if across is None:
        return
    used = {entry.network_id for record in records for entry in record.attachments}
    for spec in across.here():
        if spec.id not in used:
            await across.leave_unused(spec.id)
    for network_id in used:
        await across.restore(network_id)
    await across.uplinks.sweep()


def _look(links: HostLinks, host: Host, endpoints: Iterable[EndpointRecord]) -> Found:
    files, alive = host.stacks.pinned()
    return Found(host.records.load(), files, alive, links.names(), links.marked(), tuple(endpoints))


def _clear(links: HostLinks, host: Host, mending: Mending) -> None:
    for record in mending.lost:
        host.records.remove(record.sandbox.container_id)
    for name in mending.namespaces:
        host.stacks.remove_file(name)
    for name in mending.links:
        links.remove(name)
