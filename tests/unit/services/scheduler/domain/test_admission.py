import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.scheduler.domain.admission import (
    LONGEST_SECONDS,
    check_life,
    check_removal,
    check_request,
    check_token,
    emulated,
    named,
    updated,
)
from shared.contracts.common import Platform
from shared.contracts.scheduler import JoinRequest, NodeRecord, TokenRecord, UpdateRequest
from shared.errors import AlreadyExists, FailedPrecondition, InvalidArgument, NotFound, ShoalError, Unauthenticated

ID, OTHER = "a" * 25, "b" * 25


def request(node=ID, name="node2", address="198.18.0.2:7377", link="U" + "A" * 55):
    return JoinRequest(secret="s", node=node, name=name, address=address, request="", link=link)


def record(node=OTHER, name="node1"):
    return NodeRecord(id=node, name=name, role="hub", address="198.18.0.1:7377", joined=1)


def test_a_newcomer():
    check_request(request(), [record()])
    check_request(request(name="node1"), [record(node=ID)])


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (request(node="a.>"), "no node id: 'a.>'"),
        (request(node=""), "no node id"),
        (request(link="SUAKEY"), "no public key of a user"),
        (request(name="a b"), "no name of a host: 'a b'"),
        (request(name="-" * 5), "no name of a host"),
        (request(address="tls://x"), "no address of a host"),
    ],
)
def test_what_no_host_is_called(asked, says):
    with pytest.raises(InvalidArgument, match=says):
        check_request(asked, [])


def test_a_name_that_another_host_has():
    with pytest.raises(AlreadyExists, match="has a host named node1 already"):
        check_request(request(name="node1"), [record()])


@given(st.text(), st.text(), st.text())
def test_whatever_is_asked_is_refused_by_an_error_of_a_known_kind(node, name, address):
    with pytest.raises(ShoalError):
        check_request(request(node + "!", name, address), [record()])


def test_tokens():
    check_token(TokenRecord(expires=10), 9)
    for refused in (None, TokenRecord(expires=10)):
        with pytest.raises(Unauthenticated, match="not known, was used, or has expired"):
            check_token(refused, 10)


@pytest.mark.parametrize("seconds", [0, -1, LONGEST_SECONDS + 1])
def test_how_long_a_token_may_live(seconds):
    check_life(1)
    with pytest.raises(InvalidArgument, match=f"not {seconds}"):
        check_life(seconds)


def test_hosts_are_named_by_name_id_or_its_begin() -> None:
    known = [record("abc", "one"), record("abd", "abc2")]
    assert named("one", known).id == named("abc", known).id == "abc"
    assert named("abd", known).name == "abc2"
    with pytest.raises(InvalidArgument, match="ambiguous"):
        named("ab", known)
    for nothing in ("", "x"):
        with pytest.raises(NotFound):
            named(nothing, known)


def test_what_operators_say_of_a_host() -> None:
    record = NodeRecord(id="a", name="one", role="leaf", address="a:1", joined=1, labels={"x": "1", "y": "2"})
    changed = updated(record, UpdateRequest(node="a", labels={"z": "3"}, without=("x",)))
    assert (changed.labels, changed.availability) == ({"y": "2", "z": "3"}, "active")
    assert updated(changed, UpdateRequest(node="a", availability="drain")).availability == "drain"
    with pytest.raises(InvalidArgument):
        updated(record, UpdateRequest(node="a", labels={"": "3"}))


def test_only_a_drained_empty_host_that_is_there_is_removed_without_force():
    drained = updated(record(), UpdateRequest(node="node1", availability="drain"))
    check_removal(drained, 0, ready=True)
    for host, containers, ready, says in (
        (record(), 0, True, "is not drained"),
        (drained, 2, True, "has containers"),
        (drained, 0, False, "does not answer"),
    ):
        with pytest.raises(FailedPrecondition, match=says):
            check_removal(host, containers, ready)


def test_what_a_host_emulates_is_what_else_it_runs() -> None:
    own = Platform(architecture="amd64")
    runs = (own, Platform(architecture="arm64"), Platform(architecture="386"), Platform(os="windows"))
    assert emulated(own, runs) == ("386", "arm64")
    assert emulated(own, ()) == ()
