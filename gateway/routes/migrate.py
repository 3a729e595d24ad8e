"""Ours alone: a container moves to another host of the cluster."""

from __future__ import annotations

from shared.contracts import migrator
from shared.errors import FailedPrecondition

from ..context import NO_CONTENT, Gateway, reply
from ..http.message import Request, Response
from ..http.router import Route
from ..relay import send_out
from ..translate import migration


async def migrate(gateway: Gateway, request: Request) -> Response | None:
    """The progress as lines of JSON; with `DryRun` the plan alone. Who leaves breaks nothing off."""
    container = await gateway.container(request)
    wanted, dry = migration.migrate_request(container.id, await gateway.json(request))
    _check(gateway)
    if dry:
        return reply(migration.plan(await gateway.call(migrator.PLAN, wanted, container.node)))
    begun = await gateway.call(migrator.MIGRATE, wanted, container.node)
    channel = await gateway.kernel.streams.take(begun.offer)
    stream = request.stream((("Content-Type", "application/json"),))
    await stream.write(migration.first_line(begun))
    await send_out(channel, stream)
    return None


async def stay(gateway: Gateway, request: Request) -> Response:
    """Breaks a migration off."""
    container = await gateway.container(request)
    _check(gateway)
    await gateway.call(migrator.CANCEL, migrator.MigrationRef(id=container.id), container.node)
    return NO_CONTENT


def _check(gateway: Gateway) -> None:
    if not gateway.kernel.clustered:
        raise FailedPrecondition("this host is in no cluster: there is nowhere to migrate to")


ROUTES = (
    Route("POST", "/containers/{id}/migrate", migrate, "ContainerMigrate"),
    Route("DELETE", "/containers/{id}/migrate", stay, "ContainerMigrateCancel"),
)
