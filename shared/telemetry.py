"""Spans: one trace shows every hop of a call. W3C trace context travels in message headers.

Spans always go to a bounded stream on the broker (`shoal trace` reads it), and to an OTLP endpoint when
OTEL_EXPORTER_OTLP_ENDPOINT is set.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from shared.errors import ShoalError

SPANS_SUBJECT = "shoal.v1.spans"
_propagator = TraceContextTextMapPropagator()
_tracer: trace.Tracer = trace.NoOpTracer()


class SpanRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """One ended span as stored: times in nanoseconds since the epoch, ids in hexadecimal."""

    trace_id: str
    span_id: str
    name: str
    service: str
    node: str
    start: int
    end: int
    parent_id: str = ""
    kind: str = "INTERNAL"
    error: str = ""
    attributes: dict[str, Any] = {}


class _Collector(SpanProcessor):
    """Hands ended spans to `sink`; the sink decides when to send."""

    def __init__(self, service: str, node: str, sink: Callable[[SpanRecord], None]) -> None:
        self._service, self._node, self._sink = service, node, sink

    def on_end(self, span: ReadableSpan) -> None:
        self._sink(record(span, self._service, self._node))


def record(span: ReadableSpan, service: str, node: str) -> SpanRecord:
    """The stored form of a span."""
    ids = span.get_span_context()
    return SpanRecord(
        trace_id=f"{ids.trace_id:032x}" if ids else "",
        span_id=f"{ids.span_id:016x}" if ids else "",
        parent_id=f"{span.parent.span_id:016x}" if span.parent else "",
        name=span.name,
        service=service,
        node=node,
        kind=span.kind.name,
        start=span.start_time or 0,
        end=span.end_time or 0,
        error=(span.status.description or "error") if span.status.status_code is StatusCode.ERROR else "",
        attributes=dict(span.attributes or {}),
    )


def configure(service: str, node: str, sink: Callable[[SpanRecord], None]) -> Callable[[], None]:
    """Makes the spans of this process real; returns what to call at the end. After forking, never before."""
    global _tracer
    # Not Resource.create: its detectors read the metadata of every installed package.
    resource = Resource({"service.name": f"shoal.{service}", "host.id": node})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(_Collector(service, node, sink))
    if os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT"):
        provider.add_span_processor(_otlp())
    _tracer = provider.get_tracer("shoal")
    return provider.shutdown


def _otlp() -> SpanProcessor:
    # Imported only when wanted: it brings protobuf and requests, some 15 MB for each process.
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    return BatchSpanProcessor(OTLPSpanExporter())


@contextmanager
def _span(name: str, kind: SpanKind, parent: Context | None, attributes: Mapping[str, Any] | None) -> Iterator[Span]:
    span = _tracer.start_span(name, context=parent, kind=kind, attributes=attributes)
    token = otel_context.attach(trace.set_span_in_context(span, parent))
    try:
        yield span
    except ShoalError as error:
        record_error(span, error)
        raise
    finally:
        otel_context.detach(token)
        span.end()


@contextmanager
def span(name: str, **attributes: str | int | float | bool | Sequence[str]) -> Iterator[Span]:
    """A host action (mount, netlink, runtime) inside the present trace."""
    with _span(name, SpanKind.INTERNAL, None, attributes) as made:
        yield made


@contextmanager
def server_span(name: str, headers: Mapping[str, str], **attributes: Any) -> Iterator[Span]:
    """The work on one request, below the caller's span when the headers carry one."""
    parent = _propagator.extract(headers) if "traceparent" in headers else Context()
    with _span(name, SpanKind.SERVER, parent, attributes) as made:
        yield made


@contextmanager
def client_span(name: str) -> Iterator[dict[str, str]]:
    """A call; yields the headers that carry it on."""
    with _span(name, SpanKind.CLIENT, None, None):
        yield inject({})


def inject(headers: dict[str, str]) -> dict[str, str]:
    """Adds the present trace context to message headers."""
    _propagator.inject(headers)
    return headers


def annotate(**attributes: str | int | float | bool) -> None:
    """Adds attributes to the present span: `container=ID` makes it findable by `shoal trace ID`."""
    trace.get_current_span().set_attributes(attributes)


def record_error(made: Span, error: ShoalError) -> None:
    """Marks the span as failed; `not_modified` is an answer, not a failure."""
    if error.kind != "not_modified":
        made.set_status(Status(StatusCode.ERROR, f"{error.kind}: {error.message}"[:300]))
