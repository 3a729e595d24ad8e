from __future__ import annotations

import json

import pytest

from gateway.translate import migration
from shared.contracts.common import StreamOffer
from shared.contracts.migrator import MigrateReply, MigrateRequest, Plan
from shared.errors import InvalidArgument

PLAN = Plan(node="n", node_name="node2", strategy="cold", reasons=("no",), freeze_ms=4, total_ms=5, bytes=6)


def test_what_is_asked_for() -> None:
    assert migration.migrate_request("c", None) == (MigrateRequest(id="c"), False)
    asked = {"Node": "node2", "Strategy": "cold", "AcceptRisk": True, "KillExecs": True, "Driver": "x", "DryRun": True}
    wanted = MigrateRequest(id="c", node="node2", strategy="cold", driver="x", accept_risk=True, kill_execs=True)
    assert migration.migrate_request("c", asked) == (wanted, True)


@pytest.mark.parametrize("data", [{"Strategy": "warm"}, {"Node": 1}, {"DryRun": "yes"}, {"AcceptRisk": 1}])
def test_what_makes_no_sense(data: dict[str, object]) -> None:
    with pytest.raises(InvalidArgument, match="invalid"):
        migration.migrate_request("c", data)


def test_a_plan_in_dockers_style() -> None:
    shown = migration.plan(PLAN)
    assert shown["Node"] == {"ID": "n", "Name": "node2"}
    assert (shown["Reasons"], shown["FreezeMilliseconds"], shown["TotalMilliseconds"], shown["Bytes"]) == (
        ["no"],
        4,
        5,
        6,
    )
    line = migration.first_line(MigrateReply(migration="m", plan=PLAN, offer=StreamOffer(path="", ticket="")))
    assert line.endswith(b"\n")
    assert json.loads(line) == {"migration": "m", "plan": shown}
