"""`docker search`: what to ask an index for, and which of its answers are shown (dockerd's rules). Pure."""

from __future__ import annotations

import msgspec

from shared.contracts.distribution import SearchRequest, SearchResult
from shared.errors import InvalidArgument, Unknown
from shared.reference import DEFAULT_DOMAIN, LEGACY_DOMAIN

FILTERS = ("is-automated", "is-official", "stars")
DEFAULT_LIMIT, MOST = 25, 100
_TRUE, _FALSE = ("1", "true", "True", "TRUE", "t", "T"), ("0", "false", "False", "FALSE", "f", "F")


class _Result(msgspec.Struct):
    name: str = ""
    description: str | None = None
    star_count: int = 0
    is_official: bool = False


class _Answer(msgspec.Struct):
    results: list[_Result] | None = None


class Query(msgspec.Struct, frozen=True):
    """The index's domain, the term it is asked for, how many results, and which of them: None for either."""

    domain: str
    term: str
    limit: int
    official: bool | None
    stars: int
    nothing: bool


def query(request: SearchRequest) -> Query:
    """Raises `InvalidArgument` for terms, limits and filters that make no sense."""
    if "://" in request.term:
        raise InvalidArgument(
            f"invalid repository name: repository name ({request.term[:200]}) should not have a scheme"
        )
    limit = request.limit or DEFAULT_LIMIT
    if not 1 <= limit <= MOST:
        raise InvalidArgument(f"limit {limit} is outside the range of [1, {MOST}]")
    for name in request.filters:
        if name not in FILTERS:
            raise InvalidArgument(f"invalid filter '{name}'")
    domain, term = _split(request.term)
    stars = [_number(each) for each in request.filters.get("stars", ())]
    automated = _flag(request.filters, "is-automated")
    return Query(domain, term, limit, _flag(request.filters, "is-official"), max([0, *stars]), automated is True)


def _split(term: str) -> tuple[str, str]:
    first, slash, rest = term.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        domain = DEFAULT_DOMAIN if first == LEGACY_DOMAIN else first
        return domain, rest.removeprefix("library/") if domain == DEFAULT_DOMAIN else rest
    return DEFAULT_DOMAIN, term.removeprefix("library/")


def _flag(filters: dict[str, tuple[str, ...]], name: str) -> bool | None:
    values = filters.get(name, ())
    if not values:
        return None
    if len(values) == 1 and values[0] in (*_TRUE, *_FALSE):
        return values[0] in _TRUE
    raise InvalidArgument(f"invalid filter '{name}={list(values)}'")


def _number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise InvalidArgument(f"invalid filter 'stars={text[:100]}'") from None


def results(asked: Query, document: bytes) -> tuple[SearchResult, ...]:
    """Those of an index's answer that the filters let through. Raises `Unknown` for what is no answer."""
    try:
        answer = msgspec.json.decode(document, type=_Answer)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Unknown(f"error decoding registry search results: {error}") from None
    return tuple(
        SearchResult(
            name=each.name, description=each.description or "", stars=each.star_count, is_official=each.is_official
        )
        for each in (answer.results or [])[:MOST]
        if asked.official in (None, each.is_official) and each.star_count >= asked.stars
    )
