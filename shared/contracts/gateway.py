"""Contract of the gateway: it serves no endpoint of its own; it calls and reads."""

from __future__ import annotations

from shared.contracts.base import Contract, Event
from shared.contracts.common import DockerEvent

DAEMON_EVENT = Event("daemon", DockerEvent)

CONTRACT = Contract(
    name="gateway",
    version="v1",
    summary="The Docker Remote API over the other contracts; stateless.",
    events=(DAEMON_EVENT,),
    calls=(
        "builder.*",
        "executor.*",
        "image_store.*",
        "network.*",
        "volume.*",
        "platform.host",
        "platform.stats",
        "scheduler.*",
        "migrator.*",
    ),
    hears=("events.*", "image_store.changed", "network.changed", "volume.changed"),
    reads=("containers.*", "names.*"),
    reads_agreed=("cluster_names.*", "nodes.*"),
)
