"""A container's move (`POST /containers/{id}/migrate`), from and to JSON in Docker's style."""

from __future__ import annotations

from typing import Any, get_args

import msgspec

from shared.contracts.migrator import MigrateReply, MigrateRequest, Plan, Strategy
from shared.errors import InvalidArgument

from .create import member


def migrate_request(container: str, data: dict[str, Any] | None) -> tuple[MigrateRequest, bool]:
    """The migrator's request, and whether only the plan is wanted."""
    given = data or {}
    strategy = _text(given, "Strategy") or "auto"
    if strategy not in get_args(Strategy):
        raise InvalidArgument(f"invalid Strategy: {strategy!r} is none of {', '.join(get_args(Strategy))}")
    request = MigrateRequest(
        id=container,
        node=_text(given, "Node"),
        strategy=strategy,  # type: ignore[arg-type]  # one of them
        driver=_text(given, "Driver"),
        accept_risk=_flag(given, "AcceptRisk"),
        kill_execs=_flag(given, "KillExecs"),
    )
    return request, _flag(given, "DryRun")


def _text(data: dict[str, Any], name: str) -> str:
    value = member(data, name)
    if value is not None and not isinstance(value, str):
        raise InvalidArgument(f"invalid JSON: {name}: Expected `str`")
    return value or ""


def _flag(data: dict[str, Any], name: str) -> bool:
    value = member(data, name)
    if value is not None and not isinstance(value, bool):
        raise InvalidArgument(f"invalid JSON: {name}: Expected `bool`")
    return bool(value)


def plan(planned: Plan) -> dict[str, Any]:
    """Bytes and milliseconds are estimates."""
    return {
        "Node": {"ID": planned.node, "Name": planned.node_name},
        "Strategy": planned.strategy,
        "Why": planned.why,
        "Reasons": list(planned.reasons),
        "Warnings": list(planned.warnings),
        "Bytes": planned.bytes,
        "FreezeMilliseconds": planned.freeze_ms,
        "TotalMilliseconds": planned.total_ms,
    }


def first_line(begun: MigrateReply) -> bytes:
    """What is going to be done; the migrator's own lines follow."""
    return msgspec.json.encode({"migration": begun.migration, "plan": plan(begun.plan)}) + b"\n"
