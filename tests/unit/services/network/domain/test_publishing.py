"""Published ports."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.network.domain.addresses import Address
from services.network.domain.publishing import (
    ANY4,
    ANY6,
    Change,
    Forward,
    Place,
    Targets,
    Wish,
    candidates,
    change,
    collides,
    made,
    parse_port,
    shown,
)
from services.network.domain.publishing import wishes as wishes_of
from shared.contracts.container import PortBinding
from shared.errors import InvalidArgument

A = ipaddress.ip_address
EPHEMERAL = (32768, 32772)
FOUR, SIX = A("172.17.0.2"), A("fd00::2")
ONLY4, ONLY6, DUAL = Targets(FOUR), Targets(None, SIX), Targets(FOUR, SIX)
PUBLISH = dict[str, tuple[PortBinding, ...]]


def wishes(
    publish: PUBLISH,
    exposed: tuple[str, ...] = (),
    publish_all: bool = False,
    targets: Targets = ONLY4,
    *,
    default_host: Address = ANY4,
    dual: bool = True,
) -> list[Wish]:
    return wishes_of(publish, exposed, publish_all, targets, default_host=default_host, dual=dual)


def bind(host: str = "", port: str = "8080") -> PUBLISH:
    return {"80/tcp": (PortBinding(host_ip=host, host_port=port),)}


def places(found: list[Wish]) -> list[tuple[str, str]]:
    return [(str(place.host), str(place.target)) for wish in found for place in wish.places]


def test_a_port_is_number_and_protocol() -> None:
    assert parse_port("80/tcp") == (80, "tcp")
    assert parse_port("53/udp") == (53, "udp")
    assert parse_port("80") == (80, "tcp")


@pytest.mark.parametrize("text", ["", "0/tcp", "65536/tcp", "-1/tcp", "٣/tcp", "80/xyz", "a/tcp", "1e3/udp"])
def test_what_is_no_port_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument, match="invalid"):
        parse_port(text)


def test_a_binding_without_address_is_made_for_both_families() -> None:
    [wish] = wishes(bind())
    assert wish == Wish("tcp", 80, (Place(ANY4, FOUR), Place(ANY6, FOUR)), 8080, 8080)
    assert places(wishes(bind(), dual=False)) == [("0.0.0.0", str(FOUR))]


@pytest.mark.parametrize(
    ("host", "targets", "expected"),
    [
        ("", DUAL, [("0.0.0.0", str(FOUR)), ("::", str(SIX))]),
        ("", ONLY6, [("::", str(SIX))]),
        ("", Targets(FOUR, None, relay=False), [("0.0.0.0", str(FOUR))]),
        ("", Targets(), []),
        ("0.0.0.0", DUAL, [("0.0.0.0", str(FOUR))]),
        ("::", DUAL, [("::", str(SIX))]),
        ("[::1]", DUAL, [("::1", str(SIX))]),
        ("::1", ONLY4, [("::1", str(FOUR))]),
        ("127.0.0.1", ONLY6, []),
        ("::ffff:127.0.0.1", DUAL, [("127.0.0.1", str(FOUR))]),
    ],
)
def test_each_family_leads_to_its_own_address(host: str, targets: Targets, expected: list[tuple[str, str]]) -> None:
    assert places(wishes(bind(host), targets=targets)) == expected


def test_what_is_reached_directly_takes_no_port() -> None:
    found = wishes(bind("192.0.2.1"), targets=Targets(FOUR, SIX, frozenset({4})))
    assert found == [Wish("tcp", 80, (Place(ANY4, FOUR),), direct=True)]
    both = wishes(bind(), targets=Targets(FOUR, SIX, frozenset({6})))
    assert {(wish.direct, wish.first) for wish in both} == {(True, 0), (False, 8080)}
    twice: PUBLISH = {"80/tcp": (PortBinding(host_port="1"), PortBinding(host_port="2"))}
    assert len(wishes(twice, targets=Targets(FOUR, None, frozenset({4}), relay=False))) == 1


def test_bindings_that_differ_in_their_address_get_the_same_port() -> None:
    several: PUBLISH = {"80/tcp": (PortBinding(host_ip="127.0.0.1"), PortBinding(host_ip="127.0.0.2"))}
    assert [wish.hosts for wish in wishes(several)] == [{A("127.0.0.1"), A("127.0.0.2")}]
    again: PUBLISH = {"80/tcp": (PortBinding(host_port="80-81"), PortBinding(host_port="80-81"))}
    assert [wish.hosts for wish in wishes(again)] == [{ANY4, ANY6}] * 2


def test_a_network_may_have_an_address_for_its_ports() -> None:
    assert places(wishes(bind(), default_host=A("192.0.2.7"))) == [("192.0.2.7", str(FOUR))]
    assert places(wishes(bind(), targets=DUAL, default_host=A("fd00::9"))) == [("fd00::9", str(SIX))]


@pytest.mark.parametrize(
    "binding",
    [("nonsense", "80"), ("fe80::1%a } drop", "80"), ("", "x"), ("", "9-8"), ("", "1-70000"), ("1.2.3.4.5", "")],
)
def test_bad_bindings_are_refused(binding: tuple[str, str]) -> None:
    with pytest.raises(InvalidArgument, match="invalid"):
        wishes(bind(*binding))


@pytest.mark.parametrize(("text", "ports"), [("8080/udp", (8080, 8080)), ("80-81/tcp", (80, 81)), ("/udp", (0, 0))])
def test_a_protocol_after_a_host_port_is_ignored(text: str, ports: tuple[int, int]) -> None:
    (wish,) = wishes({"80/tcp": (PortBinding(host_port=text),)})
    assert (wish.protocol, (wish.first, wish.last)) == ("tcp", ports)


def test_fixed_ports_come_before_chosen_ones() -> None:
    publish: PUBLISH = {
        "90/tcp": (PortBinding(),),
        "80/tcp": (PortBinding(host_port="8000-8010"),),
        "70/tcp": (PortBinding(host_port="32768"),),
    }
    assert [wish.port for wish in wishes(publish, (), False)] == [70, 80, 90]


def test_publish_all_takes_what_is_exposed_and_not_named() -> None:
    found = wishes({"80/tcp": (PortBinding(host_port="8080"),)}, ("80/tcp", "443/tcp", "53/udp"), True)
    assert [(wish.name, wish.first) for wish in found] == [("80/tcp", 8080), ("53/udp", 0), ("443/tcp", 0)]


def test_ports_are_tried_as_asked_or_in_turn() -> None:
    assert list(candidates(Wish("tcp", 80, (Place(ANY4, FOUR),), 8000, 8002), EPHEMERAL, 0)) == [8000, 8001, 8002]
    free = Wish("tcp", 80, (Place(ANY4, FOUR),))
    assert list(candidates(free, EPHEMERAL, 0)) == [32768, 32769, 32770, 32771, 32772]
    assert list(candidates(free, EPHEMERAL, 32770)) == [32771, 32772, 32768, 32769, 32770]
    assert next(candidates(free, EPHEMERAL, 32772)) == 32768


@given(st.integers(1, 65535), st.integers(0, 30), st.integers(0, 65535))
def test_every_ephemeral_port_is_tried_once(begin: int, size: int, last: int) -> None:
    end = min(begin + size, 65535)
    assert sorted(candidates(Wish("tcp", 80, ()), (begin, end), last)) == list(range(begin, end + 1))


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
    assert shown([Forward("tcp", ANY4, 0, target, 80)], ()) == {"80/tcp": (PortBinding(host_ip="0.0.0.0"),)}
    assert shown(forwards, ("443/tcp", "80/tcp")) == {
        "443/tcp": None,
        "80/tcp": (PortBinding(host_ip="0.0.0.0", host_port="8080"), PortBinding(host_ip="::", host_port="8080")),
    }


def held(*ports: tuple[str, Address, int, int]) -> list[Forward]:
    return [Forward(protocol, host, port, host, target) for protocol, host, port, target in ports]


def test_ports_that_are_held_stay_and_others_come_and_go() -> None:
    present = held(("tcp", ANY4, 8080, 80), ("tcp", ANY6, 8080, 80), ("udp", ANY4, 53, 53))
    wanted = wishes({**bind(), "443/tcp": (PortBinding(host_port="8443"),)})
    found = change(present, wanted)
    assert [forward.key for forward in found.kept] == [("tcp", ANY4, 8080), ("tcp", ANY6, 8080)]
    assert {forward.target for forward in found.kept} == {FOUR}
    assert [forward.key for forward in found.dropped] == [("udp", ANY4, 53)]
    assert [wish.port for wish in found.missing] == [443]


def test_a_chosen_port_is_chosen_once() -> None:
    present = held(("tcp", ANY4, 40000, 80), ("tcp", ANY6, 40000, 80))
    assert change(present, wishes(bind(port=""))) == Change(tuple(made(wishes(bind(port=""))[0], 40000)), (), ())
    assert change(present, wishes(bind(port="8000-8010"))).missing


def test_an_address_more_is_taken_at_the_same_port() -> None:
    found = change(held(("tcp", ANY4, 40000, 80)), wishes(bind(port="")))
    assert [forward.key for forward in found.kept] == [("tcp", ANY4, 40000)]
    assert found.missing == (Wish("tcp", 80, (Place(ANY6, FOUR),), 40000, 40000),)
    back = change(held(("tcp", ANY4, 40000, 80), ("tcp", ANY6, 40000, 80)), wishes(bind("0.0.0.0", "")))
    assert ([f.host for f in back.kept], [f.host for f in back.dropped]) == ([ANY4], [ANY6])


def test_a_port_that_leads_to_another_of_the_container_is_another() -> None:
    found = change(held(("tcp", ANY4, 8080, 81)), wishes(bind(), dual=False))
    assert (found.kept, len(found.dropped), len(found.missing)) == ((), 1, 1)


BINDINGS = st.dictionaries(
    st.sampled_from(["80/tcp", "81/tcp", "53/udp"]),
    st.lists(
        st.builds(
            PortBinding,
            host_ip=st.sampled_from(["", "127.0.0.1", "::1", "::"]),
            host_port=st.sampled_from(["", "8080", "8081", "8000-8002"]),
        ),
        min_size=1,
        max_size=2,
    ).map(tuple),
    max_size=3,
)


@given(BINDINGS, BINDINGS, st.sampled_from([ONLY4, ONLY6, DUAL, Targets(FOUR, SIX, frozenset({4}))]))
def test_from_any_ports_to_any_others(before: PUBLISH, after: PUBLISH, targets: Targets) -> None:
    """Every wish is fulfilled once, what stays was there, nothing is both kept and dropped."""
    ports = iter(range(30000, 31000))
    present = [f for wish in wishes(before, targets=targets) for f in made(wish, 0 if wish.direct else next(ports))]
    wanted = wishes(after, targets=targets)
    found = change(present, wanted)
    ends = {(*f.key, f.target_port) for f in present}
    kept, dropped = ({(*f.key, f.target_port) for f in each} for each in (found.kept, found.dropped))
    assert kept | dropped == ends
    assert not kept & dropped
    assert len(found.kept) + sum(len(w.places) for w in found.missing) == sum(len(w.places) for w in wanted)
    same = change(present, wishes(before, targets=targets))
    assert {f.key for f in same.kept} <= {f.key for f in present}
    if not any(binding.host_port for bindings in before.values() for binding in bindings):
        assert (same.dropped, same.missing) == ((), ())
