from __future__ import annotations

import json
from typing import Any

import pytest

from services.image_store.domain.search import Query, query, results
from shared.contracts.distribution import SearchRequest
from shared.errors import InvalidArgument, Unknown

ANSWER = json.dumps(
    {"results": [{"name": "a", "description": "A", "star_count": 10, "is_official": True, "is_automated": True},
                 {"name": "b/c", "description": None, "star_count": 2, "is_official": False, "more": 1}]}
).encode()  # fmt: skip


def asked(term: str = "a", **filters: str) -> Query:
    return query(
        SearchRequest(term=term, filters={name.replace("_", "-"): (value,) for name, value in filters.items()})
    )


@pytest.mark.parametrize(
    ("term", "domain", "rest"),
    [
        ("busybox", "docker.io", "busybox"),
        ("library/busybox", "docker.io", "busybox"),
        ("me/app", "docker.io", "me/app"),
        ("index.docker.io/library/x", "docker.io", "x"),
        ("r.example/a/b", "r.example", "a/b"),
        ("localhost/a", "localhost", "a"),
        ("r:5000/library/a", "r:5000", "library/a"),
        ("", "docker.io", ""),
    ],
)
def test_where_and_what_to_ask(term: str, domain: str, rest: str) -> None:
    assert (asked(term).domain, asked(term).term, asked(term).limit) == (domain, rest, 25)


def test_which_results_are_shown() -> None:
    def names(**filters: str) -> list[str]:
        return [each.name for each in results(asked(**filters), ANSWER)]

    assert names() == ["a", "b/c"]
    assert names(stars="3") == ["a"]
    assert names(is_official="true") == ["a"]
    assert names(is_official="0") == ["b/c"]
    assert names(is_automated="false") == ["a", "b/c"]
    assert asked(is_automated="true").nothing
    found = results(asked(), ANSWER)[1]
    assert (found.description, found.stars, found.is_official) == ("", 2, False)


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({"term": "http://x"}, "should not have a scheme"),
        ({"term": "a", "limit": 101}, r"limit 101 is outside the range of \[1, 100\]"),
        ({"term": "a", "limit": -1}, "outside the range"),
        ({"term": "a", "filters": {"x": ("y",)}}, "invalid filter 'x'"),
        ({"term": "a", "filters": {"stars": ("many",)}}, "invalid filter 'stars=many'"),
        ({"term": "a", "filters": {"is-official": ("maybe",)}}, "invalid filter 'is-official"),
        ({"term": "a", "filters": {"is-official": ("true", "false")}}, "invalid filter 'is-official"),
    ],
)
def test_questions_that_make_no_sense(more: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidArgument, match=text):
        query(SearchRequest(**more))


@pytest.mark.parametrize("document", [b"", b"<html>", b"[]", b"[" * 100_000, b'{"results":[{"name":5}]}'])
def test_answers_that_are_none(document: bytes) -> None:
    with pytest.raises(Unknown, match="error decoding registry search results"):
        results(asked(), document)
    assert results(asked(), b'{"results":null}') == ()
