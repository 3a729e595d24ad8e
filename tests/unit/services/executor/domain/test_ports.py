"""Changing which ports a container publishes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.executor.domain import ports
from shared.contracts.container import HostConfig, PortBinding
from shared.errors import Conflict, NotFound

Bindings = dict[str, tuple[PortBinding, ...]]
Shown = dict[str, tuple[PortBinding, ...] | None]


def at(port: str, ip: str = "") -> PortBinding:
    return PortBinding(host_ip=ip, host_port=port)


def change(
    asked: Bindings,
    *,
    add: Bindings | None = None,
    remove: Bindings | None = None,
    shown: Shown | None = None,
    exposed: tuple[str, ...] = (),
    publish_all: bool = False,
) -> tuple[Bindings, Bindings]:
    config = HostConfig(port_bindings=asked, publish_all_ports=publish_all)
    found = ports.change(config, exposed, shown or {}, add or {}, remove or {})
    assert not found.host_config.publish_all_ports
    return found.host_config.port_bindings, found.released


def test_ports_are_added_once() -> None:
    asked: Bindings = {"80/tcp": (at("8080"),)}
    assert change(asked, add={"80": (at("8081"),), "53/udp": ()})[0] == {
        "80/tcp": (at("8080"), at("8081")),
        "53/udp": (at(""),),
    }
    assert change(asked, add={"80/tcp": (at("8080"),)})[0] == asked
    assert len(change(asked, add={"80/tcp": (at(""), at(""))})[0]["80/tcp"]) == 3


def test_one_place_goes_or_all() -> None:
    asked: Bindings = {"80/tcp": (at("8080"), at("8081", "127.0.0.1")), "443/tcp": (at("8443"),)}
    live: Shown = {"80/tcp": (at("8080", "0.0.0.0"), at("8080", "::"), at("8081", "127.0.0.1"))}
    assert change(asked, remove={"80/tcp": (at("8080"),)}, shown=live) == (
        {"80/tcp": (at("8081", "127.0.0.1"),), "443/tcp": (at("8443"),)},
        {"80/tcp": (at("8080", "0.0.0.0"), at("8080", "::"))},
    )
    assert change(asked, remove={"80": ()}, shown=live) == ({"443/tcp": (at("8443"),)}, {"80/tcp": live["80/tcp"]})
    assert "80/tcp" not in change(asked, remove={"80/tcp": asked["80/tcp"]}, shown=live)[0]


def test_a_port_that_was_chosen_is_known_by_its_number() -> None:
    asked: Bindings = {"80/tcp": (at(""), at("")), "81/tcp": (at("9000-9009"),)}
    live: Shown = {
        "80/tcp": (at("32768", "0.0.0.0"), at("32769", "0.0.0.0")),
        "81/tcp": (at("9003", "0.0.0.0"),),
    }
    wanted: Bindings = {"80/tcp": (at("32768"),), "81/tcp": (at("9003"),)}
    assert change(asked, remove=wanted, shown=live) == (
        {"80/tcp": (at(""),)},
        {"80/tcp": (at("32768", "0.0.0.0"),), "81/tcp": (at("9003", "0.0.0.0"),)},
    )


def test_a_container_that_publishes_all_has_them_named_from_then_on() -> None:
    assert change({}, exposed=("80", "53/udp"), publish_all=True, add={"80/tcp": (at("8080"),)})[0] == {
        "80/tcp": (at(""), at("8080")),
        "53/udp": (at(""),),
    }
    assert change({}, exposed=("80", "53/udp"), publish_all=True, remove={"80/tcp": ()})[0] == {"53/udp": (at(""),)}


@pytest.mark.parametrize(
    ("remove", "text"),
    [
        ({"81/tcp": ()}, "port 81/tcp is not published"),
        ({"80/tcp": (at("9"),)}, "port 80/tcp is not published at 0.0.0.0:9"),
        ({"80/tcp": (at("8080", "10.0.0.1"),)}, "port 80/tcp is not published at 10.0.0.1:8080"),
        ({"80/tcp": (at("", "10.0.0.1"),)}, "port 80/tcp is not published at 10.0.0.1"),
    ],
)
def test_what_is_not_published(remove: Bindings, text: str) -> None:
    with pytest.raises(NotFound) as caught:
        change({"80/tcp": (at("8080", "127.0.0.1"),)}, remove=remove)
    assert caught.value.message == text


@pytest.mark.parametrize("mode", ["host", "none", "container:abc"])
def test_who_has_no_ports(mode: str) -> None:
    ports.check_mode("bridge")
    with pytest.raises(Conflict, match="conflicting options: port publishing and the"):
        ports.check_mode(mode)


PLACES = st.builds(PortBinding, host_ip=st.sampled_from(["", "127.0.0.1"]), host_port=st.sampled_from(["80", "81"]))
WISHES = st.dictionaries(st.sampled_from(["80/tcp", "81/udp"]), st.lists(PLACES, min_size=1, unique=True).map(tuple))


@given(WISHES, WISHES)
def test_what_is_added_can_be_removed(asked: Bindings, add: Bindings) -> None:
    new = {port: tuple(b for b in each if b not in asked.get(port, ())) for port, each in add.items()}
    new = {port: each for port, each in new.items() if each}
    both, _ = change(asked, add=new)
    again, _ = change(both, remove={port: tuple(reversed(each)) for port, each in new.items()})
    assert {port: len(each) for port, each in again.items()} == {port: len(each) for port, each in asked.items()}
