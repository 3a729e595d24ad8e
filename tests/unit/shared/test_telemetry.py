"""Spans: one trace over every hop, whatever a stranger's headers say."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared import telemetry
from shared.errors import NotFound, NotModified
from shared.telemetry import SpanRecord

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[SpanRecord]]:
    """The spans that have ended, in this order."""
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    records: list[SpanRecord] = []
    shutdown = telemetry.configure("volume", "node1", records.append)
    yield records
    shutdown()


def test_a_span_as_it_is_stored(ended: list[SpanRecord]) -> None:
    before = time.time_ns()
    with telemetry.span("mount", path="/a", tries=2, names=["x", "y"]):
        assert ended == []
    (made,) = ended
    assert (made.name, made.service, made.node, made.kind) == ("mount", "volume", "node1", "INTERNAL")
    assert made.attributes == {"path": "/a", "tries": 2, "names": ("x", "y")}
    assert (made.parent_id, made.error) == ("", "")
    assert before <= made.start <= made.end <= time.time_ns()
    assert re.fullmatch("[0-9a-f]{32}", made.trace_id)
    assert re.fullmatch("[0-9a-f]{16}", made.span_id)


def test_spans_are_below_the_one_they_run_in(ended: list[SpanRecord]) -> None:
    with telemetry.span("outer"), telemetry.span("inner"):
        pass
    inner, outer = ended
    assert (inner.name, outer.name) == ("inner", "outer")
    assert (inner.trace_id, inner.parent_id) == (outer.trace_id, outer.span_id)


def test_one_trace_shows_both_sides_of_a_call(ended: list[SpanRecord]) -> None:
    with telemetry.client_span("volume.create") as headers:
        carried = dict(headers)
    with telemetry.server_span("volume.create", carried, node="node1"), telemetry.span("mkdir"):
        pass
    client, action, server = ended
    assert (client.kind, server.kind, action.kind) == ("CLIENT", "SERVER", "INTERNAL")
    assert {client.trace_id} == {server.trace_id, action.trace_id}
    assert (client.parent_id, server.parent_id, action.parent_id) == ("", client.span_id, server.span_id)


def test_the_trace_of_a_foreign_client_is_gone_on_with(ended: list[SpanRecord]) -> None:
    with telemetry.server_span("volume.create", {"traceparent": f"00-{TRACE}-{PARENT}-01"}):
        pass
    assert (ended[0].trace_id, ended[0].parent_id) == (TRACE, PARENT)


def test_what_a_client_does_not_want_sampled_is_recorded_all_the_same(ended: list[SpanRecord]) -> None:
    with telemetry.server_span("volume.create", {"traceparent": f"00-{TRACE}-{PARENT}-00"}):
        pass
    assert [(made.trace_id, made.parent_id) for made in ended] == [(TRACE, PARENT)]


def test_a_request_without_a_trace_begins_one(ended: list[SpanRecord]) -> None:
    with telemetry.span("of another request"), telemetry.server_span("volume.create", {}):
        pass
    request, other = ended
    assert request.parent_id == ""
    assert request.trace_id != other.trace_id


@given(st.text() | st.from_regex(r"[0-9a-f]{2}-[0-9a-f]{30,33}-[0-9a-f]{15,17}-[0-9a-f]{1,3}", fullmatch=True))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_hostile_trace_header_harms_nobody(ended: list[SpanRecord], header: str) -> None:
    with telemetry.server_span("volume.create", {"traceparent": header, "tracestate": header}):
        carried = telemetry.inject({})["traceparent"]
    assert re.fullmatch("00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}", carried)


def test_the_present_span_travels_in_headers(ended: list[SpanRecord]) -> None:
    with telemetry.span("outer"):
        headers = telemetry.inject({"Nats-Msg-Id": "1"})
    assert headers["Nats-Msg-Id"] == "1"
    assert re.fullmatch(f"00-{ended[0].trace_id}-{ended[0].span_id}-[0-9a-f]{{2}}", headers["traceparent"])
    assert telemetry.inject({}) == {}


def test_what_is_found_out_late_is_added(ended: list[SpanRecord]) -> None:
    with telemetry.span("outer"), telemetry.span("inner", a=1):
        telemetry.annotate(container="4f", running=True)
    assert [made.attributes for made in ended] == [{"a": 1, "container": "4f", "running": True}, {}]


def test_an_error_marks_its_span_and_goes_on(ended: list[SpanRecord]) -> None:
    with pytest.raises(NotFound, match="no such volume"), telemetry.span("mount"):
        raise NotFound("no such volume")
    assert ended[0].error == "not_found: no such volume"
    assert telemetry.inject({}) == {}


def test_a_defect_marks_its_span_too(ended: list[SpanRecord]) -> None:
    with pytest.raises(OSError, match="No space left"), telemetry.span("mount"):
        raise OSError(28, "No space left on device")
    assert ended[0].error == "OSError: [Errno 28] No space left on device"


def test_what_is_given_up_has_not_failed(ended: list[SpanRecord]) -> None:
    with suppress(asyncio.CancelledError), telemetry.span("wait"):
        raise asyncio.CancelledError
    assert (ended[0].error, ended[0].attributes) == ("", {"cancelled": True})


def test_a_long_error_is_cut(ended: list[SpanRecord]) -> None:
    with suppress(NotFound), telemetry.span("mount"):
        raise NotFound("x" * 1000)
    assert ended[0].error == f"not_found: {'x' * 289}"


def test_not_modified_is_no_failure(ended: list[SpanRecord]) -> None:
    with pytest.raises(NotModified), telemetry.server_span("executor.start", {}):
        raise NotModified("already started")
    assert ended[0].error == ""


def test_after_the_end_spans_are_nothing_again(ended: list[SpanRecord]) -> None:
    telemetry.shutdown()
    with telemetry.span("late"):
        assert telemetry.inject({}) == {}
    assert ended == []


def test_spans_of_a_process_that_is_not_configured_cost_nothing() -> None:
    with telemetry.client_span("volume.create") as headers:
        telemetry.annotate(container="4f")
    assert headers == {}
