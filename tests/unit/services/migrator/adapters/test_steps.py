"""Single steps, with both hosts' services."""

from __future__ import annotations

import msgspec

from services.migrator.adapters import steps
from services.migrator.adapters.steps import Steps, Trees
from services.migrator.domain.machine import Done, Failed
from shared.contracts import image_store
from shared.contracts.migrator import MIGRATIONS, MigrationRecord
from shared.contracts.trees import SyncOutRequest
from shared.errors import Unavailable
from tests.support.moving import Hosts


async def departing(pair: Hosts, id: str) -> Steps:
    """Claimed, and marked as leaving."""
    record = MigrationRecord(
        id=id, migration="m", name="web", source="node1", target="node2", source_name="node1", target_name="node2",
        strategy="cold",
    )  # fmt: skip
    made = Steps(pair.one.client.bus, pair.one.state, record, Trees(id))
    assert await made.do("claim") == Done("claim")
    assert await made.do("depart") == Done("depart")
    return made


async def test_the_image_comes_with_a_name_that_is_free_there(pair: Hosts) -> None:
    id = await pair.one.run("sleep")
    made = await departing(pair, id)
    await made.do("fetch")
    del pair.two.image_store.images["busybox"]
    await made.do("fetch")
    known, unknown = pair.two.image_store.requests("fetch")
    assert isinstance(known, image_store.FetchRequest)
    assert isinstance(unknown, image_store.FetchRequest)
    assert (known.names, known.nodes) == ((), ("node1",))
    assert unknown.names == ("busybox:latest",)


async def test_passes_go_on_while_each_sends_much_less(pair: Hosts) -> None:
    id = await pair.one.run("sleep")
    made = await departing(pair, id)
    sizes = [8 * steps.SMALL, 3 * steps.SMALL, 2 * steps.SMALL, 1]
    pair.one.image_store.sending = list(sizes)
    assert await made.do("copy") == Done("copy")
    asked = [each for each in pair.one.image_store.requests("sync_out") if isinstance(each, SyncOutRequest)]
    assert [request.first for request in asked] == [True, False, False]
    assert made.counted.file_bytes == sum(sizes[:3]) + 30  # and the log's


async def test_whether_a_refusal_is_certain(pair: Hosts) -> None:
    id = await pair.one.run("sleep")
    made = await departing(pair, id)
    again = Steps(pair.one.client.bus, pair.one.state, made.record)
    assert await again.do("claim") == Failed("claim", "container web is being migrated already", sure=True)
    assert await made.do("take_over") == Failed(
        "take_over", "there is nothing here that this migration brought", sure=True
    )
    pair.two.image_store.fail["fetch"] = [Unavailable("away")]
    assert await made.do("fetch") == Failed("fetch", "away", sure=False)


async def test_no_switch_can_follow_a_revocation(pair: Hosts) -> None:
    id = await pair.one.run("sleep")
    made = await departing(pair, id)
    successor = Steps(pair.one.client.bus, pair.one.state, made.record)
    assert await successor.do("look") == Done("look", phase="preparing")
    assert await successor.do("revoke") == Done("revoke", phase="preparing")
    refused = await made.do("switch")
    assert isinstance(refused, Failed)
    assert refused.sure
    entry = await pair.hubs.get(MIGRATIONS, id)
    assert entry is not None
    assert entry.value.phase == "aborting"
    assert await made.do("look") == Done("look", phase="aborting")
    for step in ("stay", "abandon", "forget"):
        assert isinstance(await made.do(step), Done)
    assert await pair.unfinished() == []


async def test_the_next_migration_of_a_container_is_not_forgotten_with_the_last(pair: Hosts) -> None:
    """The hubs forgot that one and did not answer; it is forgotten again when the next has begun."""
    made = await departing(pair, await pair.one.run("sleep"))
    assert await made.do("forget") == Done("forget")
    following = msgspec.structs.replace(made.record, migration="n", source="node2", target="node1")
    assert await Steps(pair.two.client.bus, pair.two.state, following).do("claim") == Done("claim")
    assert await made.do("forget") == Done("forget")
    entry = await pair.hubs.get(MIGRATIONS, made.record.id)
    assert entry is not None
    assert entry.value == following
