"""Finding networks."""

from __future__ import annotations

import pytest

from services.network.domain import lookup
from shared.contracts.network import EndpointRecord, Network, NetworkSpec
from shared.errors import InvalidArgument, NotFound

WEB = NetworkSpec(id="ab12" + "0" * 60, name="web", created=1000, labels={"tier": "front"})
ODD = NetworkSpec(id="ab34" + "0" * 60, name="ab12", created=2000)
NONE = NetworkSpec(id="cd" + "0" * 62, name="none", created=0, driver="null")
ALL = (WEB, ODD, NONE)
END = EndpointRecord(id="e", network_id=WEB.id, container_id="c", container_name="c", node="n")


def test_id_then_name_then_begin_of_the_id() -> None:
    assert lookup.find(WEB.id, ALL) is WEB
    assert lookup.find("web", ALL) is WEB
    assert lookup.find("ab12", ALL) is ODD
    assert lookup.find("ab120", ALL) is WEB
    assert lookup.find("web", ALL, scope="local") is WEB


def test_what_is_not_there_and_what_is_not_clear() -> None:
    with pytest.raises(NotFound, match="network nope not found"):
        lookup.find("nope", ALL)
    with pytest.raises(NotFound):
        lookup.find("web", ALL, scope="swarm")
    with pytest.raises(NotFound, match="network  not found"):
        lookup.find("", ALL)
    with pytest.raises(InvalidArgument, match=r"network ab is ambiguous \(2 matches found based on ID prefix\)"):
        lookup.find("ab", ALL)


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        ({}, ["web", "ab12", "none"]),
        ({"name": ("we",)}, ["web"]),
        ({"name": ("we", "none")}, ["web", "none"]),
        ({"id": ("^ab",)}, ["web", "ab12"]),
        ({"driver": ("null",)}, ["none"]),
        ({"scope": ("swarm",)}, []),
        ({"type": ("builtin",)}, ["none"]),
        ({"type": ("custom",), "label": ("tier=front",)}, ["web"]),
        ({"dangling": ("true",)}, ["ab12"]),
        ({"dangling": ("false",)}, ["web", "none"]),
    ],
)
def test_lists_are_filtered(filters: dict[str, tuple[str, ...]], names: list[str]) -> None:
    lookup.check_list(filters)
    shown = [Network(spec=spec, endpoints=(END,) if spec is WEB else ()) for spec in ALL]
    assert [network.spec.name for network in shown if lookup.matches(network, filters)] == names


@pytest.mark.parametrize("filters", [{"foo": ("1",)}, {"type": ("odd",)}, {"dangling": ("maybe",)}])
def test_bad_filters_are_refused(filters: dict[str, tuple[str, ...]]) -> None:
    with pytest.raises(InvalidArgument, match="invalid filter"):
        lookup.check_list(filters)


def test_prune_spares_predefined_young_and_unlabelled_ones() -> None:
    assert lookup.prunable(WEB, {}, 10**19)
    assert not lookup.prunable(NONE, {}, 10**19)
    assert not lookup.prunable(WEB, {"label!": ("tier",)}, 10**19)
    assert lookup.prunable(WEB, {"until": ("1s",)}, 2_000_000_000)
    assert not lookup.prunable(WEB, {"until": ("2s",)}, 2_000_000_000)
    with pytest.raises(InvalidArgument, match="invalid filter 'name'"):
        lookup.prunable(WEB, {"name": ("web",)}, 0)
