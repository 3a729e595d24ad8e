"""Published ports."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.network.domain.publishing import (
    ANY4,
    ANY6,
    Forward,
    Wish,
    candidates,
    collides,
    parse_port,
    shown,
    wishes,
)
from shared.contracts.container import PortBinding
from shared.errors import InvalidArgument

A = ipaddress.ip_address
EPHEMERAL = (32768, 32772)


def test_a_port_is_number_and_protocol() -> None:
    assert parse_port("80/tcp") == (80, "tcp")
    assert parse_port("53/udp") == (53, "udp")
    assert parse_port("80") == (80, "tcp")


@pytest.mark.parametrize("text", ["", "0/tcp", "65536/tcp", "-1/tcp", "٣/tcp", "80/xyz", "a/tcp", "1e3/udp"])
def test_what_is_no_port_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument, match="invalid"):
        parse_port(text)


def test_a_binding_without_address_is_made_for_both_families() -> None:
    [wish] = wishes({"80/tcp": (PortBinding(host_port="8080"),)}, (), False)
    assert wish == Wish("tcp", 80, (ANY4, ANY6), 8080, 8080)
    [wish] = wishes({"80/tcp": (PortBinding(host_port="8080"),)}, (), False, dual=False)
    assert wish.hosts == (ANY4,)


def test_an_address_is_kept() -> None:
    [wish] = wishes({"80/tcp": (PortBinding(host_ip="127.0.0.1", host_port="8080"),)}, (), False)
    assert wish.hosts == (A("127.0.0.1"),)
    [wish] = wishes({"80/tcp": (PortBinding(host_ip="[::1]"),)}, (), False)
    assert wish.hosts == (A("::1"),)


def test_a_network_may_have_an_address_for_its_ports() -> None:
    [wish] = wishes({"80/tcp": (PortBinding(),)}, (), False, default_host=A("192.0.2.7"))
    assert wish.hosts == (A("192.0.2.7"),)


@pytest.mark.parametrize("binding", [("nonsense", "80"), ("", "x"), ("", "9-8"), ("", "1-70000"), ("1.2.3.4.5", "")])
def test_bad_bindings_are_refused(binding: tuple[str, str]) -> None:
    with pytest.raises(InvalidArgument, match="invalid"):
        wishes({"80/tcp": (PortBinding(host_ip=binding[0], host_port=binding[1]),)}, (), False)


def test_fixed_ports_come_before_chosen_ones() -> None:
    publish = {
        "90/tcp": (PortBinding(),),
        "80/tcp": (PortBinding(host_port="8000-8010"),),
        "70/tcp": (PortBinding(host_port="32768"),),
    }
    assert [wish.port for wish in wishes(publish, (), False)] == [70, 80, 90]


def test_publish_all_takes_what_is_exposed_and_not_named() -> None:
    found = wishes({"80/tcp": (PortBinding(host_port="8080"),)}, ("80/tcp", "443/tcp", "53/udp"), True)
    assert [(wish.name, wish.first) for wish in found] == [("80/tcp", 8080), ("53/udp", 0), ("443/tcp", 0)]


def test_ports_are_tried_as_asked_or_in_turn() -> None:
    assert list(candidates(Wish("tcp", 80, (ANY4,), 8000, 8002), EPHEMERAL, 0)) == [8000, 8001, 8002]
    free = Wish("tcp", 80, (ANY4,))
    assert list(candidates(free, EPHEMERAL, 0)) == [32768, 32769, 32770, 32771, 32772]
    assert list(candidates(free, EPHEMERAL, 32770)) == [32771, 32772, 32768, 32769, 32770]
    assert next(candidates(free, EPHEMERAL, 32772)) == 32768


@given(st.integers(1, 65535), st.integers(0, 30), st.integers(0, 65535))
def test_every_ephemeral_port_is_tried_once(begin: int, size: int, last: int) -> None:
    end = min(begin + size, 65535)
    assert sorted(candidates(Wish("tcp", 80, (ANY4,)), (begin, end), last)) == list(range(begin, end + 1))


@pytest.mark.parametrize(
    ("protocol", "host", "port", "expected"),
    [
        ("tcp", "0.0.0.0", 80, True),
        ("tcp", "127.0.0.1", 80, True),
        ("tcp", "10.0.0.1", 80, False),
        ("tcp", "0.0.0.0", 81, False),
        ("udp", "127.0.0.1", 80, False),
        ("tcp", "::", 80, False),
        ("tcp", "::1", 443, True),
    ],
)
def test_collisions(protocol: str, host: str, port: int, expected: bool) -> None:
    present = [("tcp", A("127.0.0.1"), 80), ("tcp", ANY6, 443)]
    assert collides(protocol, A(host), port, present) is expected


def test_inspect_shows_published_and_exposed_ports() -> None:
    target = A("172.17.0.2")
    forwards = [Forward("tcp", ANY4, 8080, target, 80), Forward("tcp", ANY6, 8080, target, 80)]
    assert shown(forwards, ("443/tcp", "80/tcp")) == {
        "443/tcp": None,
        "80/tcp": (PortBinding(host_ip="0.0.0.0", host_port="8080"), PortBinding(host_ip="::", host_port="8080")),
    }
