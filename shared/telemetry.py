"""Spans: one trace shows every hop of a call. W3C trace context travels in message headers.

Spans always go to a bounded stream on the broker (`shoal trace` reads it), and to an OTLP endpoint when
OTEL_EXPORTER_OTLP_ENDPOINT is set.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, TypeVar

import msgspec
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from shared.errors import ShoalError

T = TypeVar("T")
R = TypeVar("R")
SPANS_SUBJECT = "shoal.v1.spans"
MOST_ERROR = 300
"""Characters of an error that a span keeps."""
_propagator = TraceContextTextMapPropagator()
_tracer: trace.Tracer = trace.NoOpTracer()
_provider: TracerProvider | None = None


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
    links: tuple[str, ...] = ()
    """Ids of the traces that led to this one."""


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
        links=tuple(f"{link.context.trace_id:032x}" for link in span.links),
    )


def configure(service: str, node: str, sink: Callable[[SpanRecord], None]) -> Callable[[], None]:
    """Makes the spans of this process real; returns `shutdown`. After forking, never before."""
    global _tracer, _provider
    # Not Resource.create: its detectors read the metadata of every installed package.
    resource = Resource({"service.name": f"shoal.{service}", "host.id": node})
    # Always: a client that does not want its own trace kept must not hide what the engine does.
    _provider = TracerProvider(sampler=ALWAYS_ON, resource=resource, shutdown_on_exit=False)
    _provider.add_span_processor(_Collector(service, node, sink))
    if os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT"):
        _provider.add_span_processor(_otlp())
    _tracer = _provider.get_tracer("shoal")
    return shutdown


def prepare() -> None:
    """Fills the caches (of patterns, of abstract classes) that the first span of a process fills; see `configure`."""
    provider = TracerProvider(sampler=ALWAYS_ON, resource=Resource({"service.name": "shoal"}), shutdown_on_exit=False)
    provider.get_tracer("shoal").start_span("prepare").end()


def shutdown() -> None:
    """Sends what waits to be sent; spans are nothing again."""
    global _tracer, _provider
    if _provider is not None:
        _provider.shutdown()
    _tracer, _provider = trace.NoOpTracer(), None


def _otlp() -> SpanProcessor:
    # Imported only when wanted: it brings protobuf and requests, some 15 MB for each process.
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    return BatchSpanProcessor(OTLPSpanExporter())


class _Span:
    """A span for the time of a block; an error that leaves the block marks it."""

    __slots__ = ("_span", "_token")

    def __init__(
        self,
        name: str,
        kind: SpanKind,
        parent: Context | None,
        attributes: Mapping[str, Any] | None,
        links: Sequence[Link] = (),
    ) -> None:
        self._span = _tracer.start_span(name, context=parent, kind=kind, attributes=attributes, links=links)
        self._token = otel_context.attach(trace.set_span_in_context(self._span, parent))

    def __enter__(self) -> Span:
        return self._span

    def __exit__(self, kind: object, error: BaseException | None, place: object) -> None:
        otel_context.detach(self._token)
        if isinstance(error, ShoalError):
            record_error(self._span, error)
        elif isinstance(error, asyncio.CancelledError):  # who asked has left, or this process ends: nothing failed
            self._span.set_attribute("cancelled", True)
        elif error is not None:
            self._span.set_status(Status(StatusCode.ERROR, f"{type(error).__name__}: {error}"[:MOST_ERROR]))
        self._span.end()


def span(name: str, **attributes: str | int | float | bool | Sequence[str]) -> AbstractContextManager[Span]:
    """A host action (mount, netlink, runtime) inside the present trace."""
    return _Span(name, SpanKind.INTERNAL, None, attributes)


def server_span(name: str, headers: Mapping[str, str], **attributes: Any) -> AbstractContextManager[Span]:
    """The work on one request, below the caller's span when the headers carry one."""
    parent = _propagator.extract(headers) if "traceparent" in headers else Context()
    return _Span(name, SpanKind.SERVER, parent, attributes)


def linked_span(name: str, traceparents: Iterable[str]) -> AbstractContextManager[Span]:
    """Work of its own, begun because of these traces (as stored with records); those that are none are left out."""
    contexts = [_propagator.extract({"traceparent": one}) for one in traceparents]
    spans = [trace.get_current_span(context).get_span_context() for context in contexts]
    links = [Link(one) for one in spans if one.is_valid]
    return _Span(name, SpanKind.INTERNAL, Context(), None, links)


@contextmanager
def client_span(name: str) -> Iterator[dict[str, str]]:
    """A call; yields the headers that carry it on."""
    with _Span(name, SpanKind.CLIENT, None, None):
        yield inject({})


def inject(headers: dict[str, str]) -> dict[str, str]:
    """Adds the present trace context to message headers."""
    _propagator.inject(headers)
    return headers


def carried(work: Callable[[T], Awaitable[R]]) -> Callable[[T], Awaitable[R]]:
    """The same work in the present trace, whoever begins it later."""
    present = otel_context.get_current()

    async def run(given: T) -> R:
        token = otel_context.attach(present)
        try:
            return await work(given)
        finally:
            otel_context.detach(token)

    return run


def annotate(**attributes: str | int | float | bool) -> None:
    """Adds attributes to the present span: `container=ID` makes it findable by `shoal trace ID`."""
    trace.get_current_span().set_attributes(attributes)


def record_error(made: Span, error: ShoalError) -> None:
    """Marks the span as failed; `not_modified` is an answer, not a failure."""
    if error.kind != "not_modified":
        made.set_status(Status(StatusCode.ERROR, f"{error.kind}: {error.message}"[:MOST_ERROR]))
