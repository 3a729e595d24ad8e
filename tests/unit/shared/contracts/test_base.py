"""Contracts as values: subjects, keys, messages."""

from __future__ import annotations

import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.contracts.base import AGREED, BUCKET, Empty, Endpoint, Event, Keys, Message

PARTS = st.text(min_size=1)


class Note(Message, frozen=True):
    text: str = ""
    count: int = 0


def family(pattern: str) -> Keys[Note]:
    return Keys(pattern, Note)


def test_the_subject_of_a_host_bound_endpoint_names_the_node() -> None:
    endpoint = Endpoint("volume.create", Note, Empty)
    assert (endpoint.service, endpoint.operation) == ("volume", "create")
    assert endpoint.subject("node1") == "shoal.v1.volume.node1.create"


def test_a_host_bound_endpoint_needs_a_node() -> None:
    with pytest.raises(ValueError, match=r"volume\.create is host-bound"):
        Endpoint("volume.create", Note, Empty).subject()


def test_an_endpoint_of_the_cluster_has_one_subject() -> None:
    endpoint = Endpoint("network.create", Note, Empty, host_bound=False)
    assert endpoint.subject() == endpoint.subject("node1") == "shoal.v1.network.create"


def test_kept_events_and_signals_have_different_subjects() -> None:
    assert Event("container", Note).subject == "shoal.v1.events.container"
    assert Event("volume.changed", Note, kept=False).subject == "shoal.v1.signals.volume.changed"


@pytest.mark.parametrize(
    ("pattern", "parts", "key"),
    [
        ("containers.*.spec", ("4f",), "containers.4f.spec"),
        ("volumes.*", ("my.data",), "volumes.my=2Edata"),
        ("names.*.*", ("a b", "=*>"), "names.a=20b.=3D=2A=3E"),
        ("images.*", ("library/größe",), "images.library/gr=C3=B6=C3=9Fe"),
        ("settings", (), "settings"),
    ],
)
def test_keys(pattern: str, parts: tuple[str, ...], key: str) -> None:
    assert family(pattern).key(*parts) == key
    assert family(pattern).parts(key) == parts


@given(st.lists(PARTS, min_size=1, max_size=5))
def test_parts_come_back_from_a_key_that_the_broker_takes(parts: list[str]) -> None:
    keys = family(".".join(["family", *("*" for _ in parts), "end"]))
    key = keys.key(*parts)
    assert keys.parts(key) == tuple(parts)
    assert re.fullmatch(r"[-/_=.a-zA-Z0-9]+", key)  # what NATS allows in a key (ADR-8)
    assert key.count(".") == len(parts) + 1


@given(PARTS, PARTS)
def test_different_parts_have_different_keys(one: str, other: str) -> None:
    assert (family("f.*").key(one) == family("f.*").key(other)) == (one == other)


@pytest.mark.parametrize("parts", [(), ("a", "b"), ("",)])
def test_a_key_needs_all_its_parts_and_none_empty(parts: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match=r"takes 1 parts|empty part"):
        family("containers.*.spec").key(*parts)


@pytest.mark.parametrize(
    "key", ["containers.4f", "containers.4f.state", "volumes.4f.spec", "containers.4f.spec.more", ""]
)
def test_a_key_of_another_family_has_no_parts(key: str) -> None:
    assert family("containers.*.spec").parts(key) is None


@given(st.text())
def test_a_strangers_key_is_no_defect(key: str) -> None:
    parts = family("family.*").parts(f"family.{key}")
    assert parts is None if "." in key else parts is not None


def test_a_damaged_escape_is_shown_as_it_can_be() -> None:
    assert family("f.*").parts("f.a=FFb") == ("a�b",)


def test_what_hosts_agree_on_has_a_bucket_of_its_own() -> None:
    assert Keys("f.*", Note).bucket == BUCKET != AGREED
    assert Keys("f.*", Note, bucket=AGREED).bucket == AGREED


def test_messages_can_grow() -> None:
    assert msgspec.json.decode(b'{"text":"a","added":[1]}', type=Note) == Note(text="a")
    assert msgspec.json.encode(Note(count=2)) == b'{"count":2}'
    assert msgspec.json.encode(Empty()) == b"{}"


def test_messages_do_not_change() -> None:
    with pytest.raises(AttributeError):
        Note().text = "b"  # type: ignore[misc]
