from __future__ import annotations

import pytest

from services.builder.domain import graph
from shared.dockerfile.instructions import Label, Stage
from shared.dockerfile.parser import parse
from shared.dockerfile.reading import stages
from shared.errors import InvalidArgument

TEXT = b"""FROM a AS one
FROM b AS two
RUN --mount=type=bind,from=one,target=/x y
FROM one
COPY --from=two a b
COPY --from=0 a b
COPY --from=image:tag a b
"""
STAGES: tuple[Stage, ...] = stages(parse(TEXT))[1]


def test_what_needs_what() -> None:
    assert graph.needs(STAGES, 2, ("two", "0", "image:tag", "2", "7")) == {0, 1}
    assert graph.needs(STAGES, 0, ("one", "two")) == set()


def test_targets() -> None:
    assert graph.chosen(STAGES, "") == STAGES
    assert len(graph.chosen(STAGES, "TWO")) == 2
    assert len(graph.chosen(STAGES, "0")) == 1
    with pytest.raises(InvalidArgument, match='target stage "x" could not be found'):
        graph.chosen(STAGES, "x")


def test_references() -> None:
    assert graph.by_reference(STAGES, 2, "One") == 0
    assert graph.by_reference(STAGES, 2, "image") is None
    assert graph.by_name(STAGES, 1, "two") is None
    for reference, why in (("2", "refers to current build stage"), ("7", "index out of bounds")):
        with pytest.raises(InvalidArgument, match=why):
            graph.by_reference(STAGES, 2, reference)


def test_labels_of_the_request() -> None:
    last = graph.with_labels(STAGES, {"b": "2", "a": "1"})[-1].instructions[-2:]
    assert [each.source for each in last] == ["LABEL a=1", "LABEL b=2"]
    assert all(isinstance(each, Label) and each.literal for each in last)


def test_two_stages_of_one_name() -> None:
    graph.check_names(STAGES)
    with pytest.raises(InvalidArgument, match="one stage name already used"):
        graph.check_names((*STAGES, STAGES[0]))
