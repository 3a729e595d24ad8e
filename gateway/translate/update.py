"""A request to change a container's limits, from Docker's JSON."""

from __future__ import annotations

from typing import Any

import msgspec

from shared.contracts.executor import UpdateRequest

from ..http.version import Version
from .by_version import discarded
from .container_shapes import RESOURCES, RESTART_POLICY
from .create import member


def update_request(container: str, data: dict[str, Any], version: Version) -> tuple[UpdateRequest, list[str]]:
    """The executor's request, and warnings; raises `InvalidArgument` naming the field."""
    resources, changes = RESOURCES.load(data), {}
    if resources.pids_limit is not None:
        changes["pids_limit"] = None if version < (1, 40) else max(resources.pids_limit, 0)
    policy = member(data, "RestartPolicy")
    wanted = RESTART_POLICY.load(policy) if policy is not None else None
    asked = UpdateRequest(
        id=container,
        resources=msgspec.structs.replace(resources, **changes),
        restart_policy=wanted if wanted and member(policy, "Name") else None,
    )
    return asked, discarded(data, version)
