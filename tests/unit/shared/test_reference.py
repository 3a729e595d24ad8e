from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import InvalidArgument
from shared.reference import Identifier, Reference, beside, listed_as, parse, parse_any, split_domain, with_tag

DIGEST = "sha256:" + "0f" * 32


@pytest.mark.parametrize(
    ("text", "full", "familiar"),
    [
        ("busybox", "docker.io/library/busybox", "busybox"),
        ("busybox:1.36", "docker.io/library/busybox:1.36", "busybox:1.36"),
        ("docker.io/busybox", "docker.io/library/busybox", "busybox"),
        ("index.docker.io/library/busybox", "docker.io/library/busybox", "busybox"),
        ("user/app:Tag", "docker.io/user/app:Tag", "user/app:Tag"),
        ("library/a/b", "docker.io/library/a/b", "library/a/b"),
        ("localhost/app", "localhost/app", "localhost/app"),
        ("localhost:5000/app:1", "localhost:5000/app:1", "localhost:5000/app:1"),
        ("Upper/app", "Upper/app", "Upper/app"),
        ("[::1]:5000/repo:t", "[::1]:5000/repo:t", "[::1]:5000/repo:t"),
        ("test.com:5000", "docker.io/library/test.com:5000", "test.com:5000"),
        (f"busybox@{DIGEST}", f"docker.io/library/busybox@{DIGEST}", f"busybox@{DIGEST}"),
        (f"a/b:t@{DIGEST}", f"docker.io/a/b:t@{DIGEST}", f"a/b:t@{DIGEST}"),
        ("a__b/c---d/e.f", "docker.io/a__b/c---d/e.f", "a__b/c---d/e.f"),
    ],
)
def test_names_and_their_familiar_form(text: str, full: str, familiar: str) -> None:
    reference = parse(text)
    assert (str(reference), reference.familiar) == (full, familiar)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "invalid reference format"),
        (":tag", "invalid reference format"),
        ("@" + DIGEST, "invalid reference format"),
        ("a:b:c", "invalid reference format"),
        ("a//b", "invalid reference format"),
        ("a___b", "invalid reference format"),
        ("-a", "invalid reference format"),
        ("a/../b", "invalid reference format"),
        ("busybox\n", "invalid reference format"),
        ("a:" + "x" * 129, "invalid reference format"),
        ("UPPER", r"invalid reference format: repository name \(library/UPPER\) must be lowercase"),
        ("test:5000/Upper/x:tag", r"invalid reference format: repository name \(Upper/x\) must be lowercase"),
        ("a" * 64, "cannot specify 64-byte hexadecimal strings"),
        ("a/" + "b" * 254, "repository name must not be more than 255 characters"),
        ("a@sha256:" + "f" * 34, "invalid checksum digest length"),
        ("a@other:" + "f" * 64, "unsupported digest algorithm"),
    ],
)
def test_what_is_no_reference_and_why(text: str, message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        parse(text)


def test_ids_are_recognised_with_and_without_algorithm() -> None:
    assert parse_any("0f" * 32) == parse_any(DIGEST) == Identifier(DIGEST)
    assert parse_any("0f" * 6) == Reference("docker.io", "library/" + "0f" * 6)


def test_what_a_reference_is_filed_under() -> None:
    assert str(parse("a").key()) == "docker.io/library/a:latest"
    assert str(parse(f"a:t@{DIGEST}").key()) == f"docker.io/library/a@{DIGEST}"


@pytest.mark.parametrize(
    ("repository", "tag", "message"),
    [
        (f"a@{DIGEST}", "", "refusing to create a tag with a digest reference"),
        ("a", "@x", "invalid tag format"),
        ("sha256", "x", "refusing to create an ambiguous tag using digest algorithm as name"),
        ("", "", "invalid reference format"),
    ],
)
def test_tags_that_are_refused(repository: str, tag: str, message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        with_tag(repository, tag)


def test_a_tag_may_come_apart_or_with_the_name() -> None:
    assert with_tag("a", "1") == with_tag("a:1", "") == parse("a:1")
    assert with_tag("a:1", "2") == parse("a:2")
    assert with_tag("a", "").tag == "latest"


@pytest.mark.parametrize(
    ("name", "tag", "meant"),
    [
        ("a", "", "a"), ("a", "1", "a:1"), ("a:", "", "a"), ("a:2", "", "a:2"), ("a:2", "3", "a:3"),
        ("r:5/a", "1", "r:5/a:1"),        ("a", DIGEST, f"a@{DIGEST}"), ("a:2", DIGEST, f"a@{DIGEST}"),
    ],
)  # fmt: skip
def test_a_tag_or_digest_beside_a_name(name: str, tag: str, meant: str) -> None:
    assert beside(name, tag) == parse(meant)


@pytest.mark.parametrize(("name", "tag"), [("a", "sha256:12"), ("a", "b:c"), ("a", "x" * 129)])
def test_what_is_neither_tag_nor_digest(name: str, tag: str) -> None:
    with pytest.raises(InvalidArgument, match="invalid tag format"):
        beside(name, tag)


@pytest.mark.parametrize(
    ("text", "registry"),
    [
        ("busybox:1", "docker.io"), ("a/b", "docker.io"), ("localhost/a", "localhost"), ("r:5000/a", "r:5000"),
        ("r.example/a/b@sha256:1", "r.example"), ("index.docker.io/a", "docker.io"), ("UPPER/a", "UPPER"),
    ],
)  # fmt: skip
def test_registries(text: str, registry: str) -> None:
    assert split_domain(text)[0] == registry


component = st.from_regex(r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*", fullmatch=True).filter(lambda text: len(text) < 40)
first = st.from_regex(r"[a-z0-9]{1,20}", fullmatch=True).filter(lambda text: text not in ("localhost", "library"))
names = st.tuples(first, st.lists(component, max_size=3)).map(lambda parts: "/".join((parts[0], *parts[1])))
domains = st.from_regex(
    r"localhost|[A-Za-z0-9]{1,9}(\.[a-z]{2,5}){1,2}(:[0-9]{1,5})?|[a-z0-9]{1,9}:[0-9]{1,5}|\[[0-9a-f:]{2,9}\]:5000",
    fullmatch=True,
)
tags = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}", fullmatch=True)


@given(names, st.none() | tags, st.booleans())
def test_every_form_of_a_reference_means_the_same(name: str, tag: str | None, digest: bool) -> None:
    text = name + (f":{tag}" if tag else "") + (f"@{DIGEST}" if digest else "")
    reference = parse(text)
    assert parse(str(reference)) == reference == parse(reference.familiar)


@given(names, st.none() | tags, st.booleans())
def test_every_form_of_a_name_is_listed_as_one(name: str, tag: str | None, digest: bool) -> None:
    suffix = (f":{tag}" if tag else "") + (f"@{DIGEST}" if digest else "")
    shown = listed_as(name + suffix)
    assert {listed_as(f"{domain}{name}{suffix}") for domain in ("docker.io/", "index.docker.io/")} == {shown}
    assert listed_as(shown) == shown == f"{name}@{DIGEST}" if digest else f"{name}:{tag or 'latest'}"


@given(domains, names, st.none() | tags)
def test_a_reference_is_put_together_of_what_it_was_taken_apart_to(domain: str, name: str, tag: str | None) -> None:
    reference = parse(f"{domain}/{name}" + (f":{tag}" if tag else ""))
    assert (reference.domain, reference.path, reference.tag, reference.digest) == (domain, name, tag or "", "")
    assert reference.familiar == str(reference)


@given(names, st.none() | tags, st.none() | tags)
def test_what_stands_beside_counts_more(name: str, own: str | None, other: str | None) -> None:
    text = name + (f":{own}" if own else "")
    expected = Reference("docker.io", parse(name).path, tag=other or own or "")
    assert beside(text, other or "") == expected
    assert (beside(text, DIGEST).tag, beside(text, DIGEST).digest) == ("", DIGEST)
    assert with_tag(text, other or "") == expected.with_default_tag()


@given(st.text(max_size=60))
def test_any_text_is_listed_as_something_or_nothing(text: str) -> None:
    shown = listed_as(text)
    assert not shown or listed_as(str(parse(text).key())) == shown


@given(st.text(max_size=60))
def test_any_text_is_a_reference_or_refused(text: str) -> None:
    try:
        reference = parse_any(text)
    except InvalidArgument:
        return
    assert isinstance(reference, Identifier) or parse(str(reference)) == reference
