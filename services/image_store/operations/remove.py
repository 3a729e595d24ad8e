"""`docker rmi` and `docker image prune`: plans carried out."""

from __future__ import annotations

from shared.clock import now_ns
from shared.contracts.common import PruneReport
from shared.contracts.image_store import PruneRequest, Removed, RemoveReply, RemoveRequest
from shared.digest import hex_of
from shared.errors import Conflict, NotFound

from ..domain import filters, removal
from ..domain.removal import Delete, Users
from .images import Images


async def remove(images: Images, request: RemoveRequest) -> RemoveReply:
    """Names first, then images; what of it is done is told line by line."""
    users = Users(request.in_use, frozenset(request.running), images.leases.images())
    plan = removal.plan(images.catalog, request.reference, request.force, not request.no_prune, users, request.platform)
    return RemoveReply(removed=await _carry_out(images, plan))


async def _carry_out(images: Images, plan: tuple[removal.Step, ...]) -> tuple[Removed, ...]:
    lines: list[Removed] = []
    for step in plan:
        if isinstance(step, Delete):
            gone = await images.forget(step.image_id) if step.image_id in images.catalog else ()
            lines += [Removed(deleted=each) for each in (step.image_id, *gone)]
            continue
        if not await images.unname(step.reference, step.image_id):
            continue
        lines.append(Removed(untagged=step.reference.familiar))
        if not step.silent:
            images.tell("untag", step.image_id, images.labels(step.image_id))
    return tuple(lines)


async def prune(images: Images, request: PruneRequest) -> PruneReport:
    """Removes what the filters choose and nobody uses."""
    chosen = filters.prunable(images.catalog, request.filters, now_ns())
    users = Users(dict.fromkeys(request.in_use, "-"), leased=images.leases.images())
    sizes = {layer.chain_id: layer.size for layer in images.layers.all()}
    lines: list[Removed] = []
    for image in chosen:
        names = [each.familiar for each in images.catalog.references(image.id)]
        for name in names or [hex_of(image.id)]:
            try:
                plan = removal.plan(images.catalog, name, force=False, prune=True, users=users)
            except (Conflict, NotFound):
                continue  # in use, or gone with an earlier one
            lines += await _carry_out(images, plan)
    freed = sum(sizes.get(line.deleted, 0) for line in lines)
    images.tell_pruned(freed)
    return PruneReport(removed=tuple(line.deleted or line.untagged for line in lines), bytes_freed=freed)
