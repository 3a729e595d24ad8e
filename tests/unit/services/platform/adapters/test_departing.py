"""One departure, and what is kept of it. What becomes of it is tested with `departures`."""

from __future__ import annotations

import msgspec

from services.platform.adapters.departing import RECORD, Record
from shared.contracts.common import Ref
from shared.contracts.migration_driver import PrecopyRequest
from tests.support.moving_hosts import COUNT, Pair


async def test_what_is_kept_of_it(pair: Pair) -> None:
    request = await pair.started(*COUNT)
    await pair.sent(request, "copy")
    departure = pair.a.linux.departures._known[request.id]
    kept = msgspec.json.decode((departure.workload.folder / RECORD).read_bytes(), type=Record)
    assert kept == departure.record
    assert kept.memory
    assert (kept.phase, kept.mover, kept.gate > 0) == ("begun", departure.mover.pid, True)
    departure.close()
    departure.close()
    assert departure.status == departure.pages == -1


async def test_nobody_is_frozen_before_criu_waits_for_its_task(pair: Pair) -> None:
    """Its start takes longer than freezing, and what is frozen would wait for it."""
    request = await pair.started(*COUNT)
    await pair.sent(request)
    departure = pair.a.linux.departures._known[request.id]
    assert departure.there is not None
    assert departure.there.done()
    assert departure.there.result() == b"here"
    await pair.a.driver.precopy(PrecopyRequest(id=request.id, peer=departure.peer))
    await pair.a.driver.thaw(Ref(id=request.id))
