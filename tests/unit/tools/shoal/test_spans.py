from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from shared.telemetry import SpanRecord
from tools.shoal import spans

MS = spans.MILLISECOND


def span(id: str, parent: str = "", start: int = 0, end: int = 1, trace: str = "t1", **more: object) -> SpanRecord:
    fields: dict[str, object] = {"name": f"step {id}", "service": "executor", "node": "n", "kind": "SERVER", **more}
    return SpanRecord(
        trace_id=trace,
        span_id=id,
        parent_id=parent,
        start=start * MS,
        end=end * MS,
        **fields,  # type: ignore[arg-type]
    )


def test_a_trace_is_a_tree_with_times() -> None:
    [trace] = spans.traces(
        [
            span("b", "a", 2, 5, kind="CLIENT"),
            span("a", "", 1, 9, attributes={"container": "c" * 64}),
            span("d", "a", 6, 8, error="conflict: no"),
            span("c", "b", 3, 4),
        ]
    )
    assert list(spans.lines(trace)) == [
        f"     0.00      8.00  step a  [executor]  container={'c' * 12}",
        "     1.00      3.00  ├─ step b",
        "     2.00      1.00  │  └─ step c  [executor]",
        "     5.00      2.00  └─ step d  [executor]  ! conflict: no",
    ]
    assert (trace.root.span_id, trace.errors, trace.containers) == ("a", 1, frozenset({"c" * 64}))


def test_traces_come_by_time_and_are_found_by_container_or_id() -> None:
    made = spans.traces(
        [span("x", trace="late", start=5), span("y", trace="early", start=1, attributes={"container": "abc"})]
    )
    assert [trace.id for trace in made] == ["early", "late"]
    assert [trace.id for trace in spans.about(made, "ab")] == ["early"]
    assert [trace.id for trace in spans.about(made, "lat")] == ["late"]
    assert spans.about(made, "zz") == []


def test_a_line_of_the_list() -> None:
    [trace] = spans.traces([span("a", start=1, end=4, error="x", attributes={"container": "f" * 64})])
    assert spans.summary(trace, "now").split() == ["t1", "now", "3.0", "f" * 12, "1", "step", "a"]
    assert len(spans.HEADING.split()) == 6


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), max_size=30, unique_by=lambda pair: pair[0]))
def test_every_span_is_shown_once_whoever_is_missing(pairs: list[tuple[int, int]]) -> None:
    """Also spans that name a caller that was never stored; a caller began before (ids grow)."""
    made = [span(str(id), str(parent) if parent < id else "", start=id, end=id + 1) for id, parent in pairs]
    for trace in spans.traces(made):
        assert len(list(spans.lines(trace))) == len(trace.spans) == len(made)


def test_what_went_over_several_hosts_tells_them() -> None:
    [trace] = spans.traces([span("a", "", 1, 9), span("b", "a", 2, 5, kind="CLIENT"), span("c", "b", 3, 4, node="m")])
    assert [line.split("  ")[-1] for line in spans.lines(trace, {"n": "node1"})] == [
        "[executor@node1]",
        "└─ step b",
        "[executor@m]",
    ]
