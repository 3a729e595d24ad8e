"""What only the real store has: refusals of the broker, and writes that meet themselves."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from shared.bus import Bus, NatsTransport
from shared.errors import AlreadyExists, Conflict, NotFound, ResourceExhausted, Unavailable
from shared.state import NatsState
from shared.state.nats import EXPECTED, MESSAGE_ID, _refusal
from shared.state.store import seal
from shared.state.streams import ensure
from tests.support.broker import Broker
from tests.support.echo import RECORDS, Text


@pytest.mark.parametrize(
    ("code", "kind"),
    [(10071, Conflict), (10059, NotFound), (10077, ResourceExhausted), (10001, Unavailable)],
)
def test_a_refused_write_has_a_kind(code: int, kind: type[Exception]) -> None:
    error = _refusal("containers.x.spec", {"err_code": code, "description": "because"})
    assert type(error) is kind
    assert "containers.x.spec" in str(error)


async def test_a_write_sent_again_after_a_broken_connection_is_one_write(tmp_path: Path) -> None:
    broker = Broker(tmp_path).start()
    bus = Bus(await NatsTransport.connect(broker.url, "tester", broker.seed()), "n", "tester")
    try:
        await bus.open()
        await ensure(bus)
        state = NatsState(bus)
        payload = seal(Text(text="1"), "tester")
        again = {EXPECTED: "0", MESSAGE_ID: "the-same"}
        subject = f"$KV.{RECORDS.bucket}.{RECORDS.key('one')}"
        first = await bus.request_raw(subject, payload, dict(again))
        repeated = await bus.request_raw(subject, payload, dict(again))
        assert "error" in msgspec.json.decode(repeated.payload)  # the broker looks at the sequence first
        last = await state._last(RECORDS, RECORDS.key("one"))
        assert last is not None
        assert last.headers[MESSAGE_ID] == "the-same"
        assert int(last.headers["Nats-Sequence"]) == msgspec.json.decode(first.payload)["seq"]
        with pytest.raises(AlreadyExists):
            await state.create(RECORDS, "one", value=Text(text="2"))
    finally:
        await bus.close()
        broker.close()
