"""Disk space of containers."""

from __future__ import annotations

from shared.clock import now_ns
from shared.contracts import image_store
from shared.contracts.common import DockerEvent, PruneReport
from shared.contracts.executor import PruneRequest, UsageEntry, UsageReply

from . import remove
from .engine import Engine


async def usage(engine: Engine) -> UsageReply:
    """Writable layers, and with their images' layers."""
    sizes = await engine.bus.call(image_store.USAGE, image_store.UsageRequest())
    entries = []
    for container in engine.registry:
        own = sizes.snapshots.get(container.id, 0)
        image = sizes.images.get(container.spec.image_id, 0)
        entries.append(UsageEntry(id=container.id, rw_bytes=own, rootfs_bytes=own + image))
    return UsageReply(entries=tuple(entries))


async def prune(engine: Engine, request: PruneRequest) -> PruneReport:
    """Removes those of the given containers that do not run; tells what this freed."""
    report = await _pruned(engine, request) if request.ids else PruneReport()
    freed = {"reclaimed": str(report.bytes_freed)}
    engine.emit(DockerEvent(type="container", action="prune", actor="", attributes=freed, time_ns=now_ns()))
    return report


async def _pruned(engine: Engine, request: PruneRequest) -> PruneReport:
    sizes = await engine.bus.call(image_store.USAGE, image_store.UsageRequest(keys=request.ids))
    removed = await remove.prune(engine, request.ids)
    return PruneReport(removed=removed, bytes_freed=sum(sizes.snapshots.get(key, 0) for key in removed))
