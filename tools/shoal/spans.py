"""Traces out of stored spans: which there are, and one as a tree. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from shared.telemetry import SpanRecord

MILLISECOND = 1_000_000


@dataclass(frozen=True)
class Trace:
    """The spans of one trace, by start time."""

    id: str
    spans: tuple[SpanRecord, ...]

    @property
    def root(self) -> SpanRecord:
        """The span that nobody in the trace called."""
        known = {span.span_id for span in self.spans}
        return next((span for span in self.spans if span.parent_id not in known), self.spans[0])

    @property
    def start(self) -> int:
        return self.spans[0].start

    @property
    def containers(self) -> frozenset[str]:
        """Ids of the containers it was about."""
        return frozenset(str(span.attributes["container"]) for span in self.spans if "container" in span.attributes)

    @property
    def errors(self) -> int:
        return sum(1 for span in self.spans if span.error)


@dataclass
class Node:
    """A span with what it called."""

    span: SpanRecord
    children: list[Node] = field(default_factory=list)


def traces(spans: Iterable[SpanRecord]) -> list[Trace]:
    """All traces, oldest first."""
    grouped: dict[str, list[SpanRecord]] = {}
    for span in spans:
        grouped.setdefault(span.trace_id, []).append(span)
    made = [Trace(id, tuple(sorted(group, key=lambda span: span.start))) for id, group in grouped.items()]
    return sorted(made, key=lambda trace: trace.start)


def about(found: Sequence[Trace], wanted: str) -> list[Trace]:
    """The traces whose id, or the id of a container they were about, begins with `wanted`."""
    return [
        trace for trace in found if trace.id.startswith(wanted) or any(id.startswith(wanted) for id in trace.containers)
    ]


def forest(trace: Trace) -> list[Node]:
    """Its spans as trees; one whose caller is missing (not stored any more, or of a client) is a root."""
    nodes = {span.span_id: Node(span) for span in trace.spans}
    roots: list[Node] = []
    for node in nodes.values():
        caller = nodes.get(node.span.parent_id)
        (caller.children if caller and caller is not node else roots).append(node)
    return roots


def lines(trace: Trace, hosts: Mapping[str, str] | None = None) -> Iterator[str]:
    """The tree for people: when it began, how long it took (ms), what it was, where; on which of several hosts."""
    several = len({span.node for span in trace.spans}) > 1
    names = {span.node: f"@{(hosts or {}).get(span.node, span.node)}" if several else "" for span in trace.spans}
    for root in forest(trace):
        yield from _lines(root, trace.start, names, "", "")


def _lines(node: Node, zero: int, names: Mapping[str, str], lead: str, rest: str) -> Iterator[str]:
    span = node.span
    offset, took = (span.start - zero) / MILLISECOND, (span.end - span.start) / MILLISECOND
    where = f"  [{span.service}{names[span.node]}]" if span.kind != "CLIENT" else ""
    error = f"  ! {span.error}" if span.error else ""
    yield f"{offset:9.2f} {took:9.2f}  {lead}{span.name}{where}{_attributes(span)}{error}"
    for index, child in enumerate(node.children):
        last = index == len(node.children) - 1
        yield from _lines(child, zero, names, rest + ("└─ " if last else "├─ "), rest + ("   " if last else "│  "))


def _attributes(span: SpanRecord) -> str:
    shown = (f"{key}={str(value)[:12] if key == 'container' else value}" for key, value in span.attributes.items())
    return "".join(f"  {text}" for text in shown)


def summary(trace: Trace, when: str) -> str:
    """One line of the list."""
    took = (max(span.end for span in trace.spans) - trace.start) / MILLISECOND
    container = next((id[:12] for id in sorted(trace.containers)), "")
    errors = str(trace.errors or "")
    return f"{trace.id[:16]}  {when:24}  {took:9.1f}  {container:12}  {errors:>6}  {trace.root.name}"


HEADING = f"{'TRACE':16}  {'BEGAN':24}  {'MS':>9}  {'CONTAINER':12}  {'ERRORS':>6}  WHAT"
TREE_HEADING = f"{'at ms':>9} {'took ms':>9}  what  [where]"
