"""Which volumes a list or a prune is about."""

from __future__ import annotations

import pytest

from services.volume.domain import selection
from services.volume.domain.rules import ANONYMOUS_LABEL
from shared.contracts.volume import VolumeSpec
from shared.errors import InvalidArgument

NAMED = VolumeSpec(name="data", labels={"tier": "db"})
ANONYMOUS = VolumeSpec(name="f" * 64, labels={ANONYMOUS_LABEL: ""})
MOUNTED = VolumeSpec(name="share", options={"type": "nfs", "device": ":/x"}, labels={ANONYMOUS_LABEL: ""})
ALL = (NAMED, ANONYMOUS, MOUNTED)


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        ({}, ["data", "f" * 64, "share"]),
        ({"name": ("da",)}, ["data"]),
        ({"name": ("da", "sha")}, ["data", "share"]),
        ({"driver": ("other",)}, []),
        ({"driver": ("local",)}, ["data", "f" * 64, "share"]),
        ({"label": ("tier=db",)}, ["data"]),
        ({"dangling": ("true",)}, ["f" * 64, "share"]),
        ({"dangling": ("false",)}, ["data"]),
    ],
)
def test_lists(filters: dict[str, tuple[str, ...]], names: list[str]) -> None:
    assert [spec.name for spec in ALL if selection.listed(spec, filters, {"data"})] == names


@pytest.mark.parametrize(
    ("filters", "used", "names"),
    [
        ({}, set(), ["f" * 64]),
        ({"all": ("true",)}, set(), ["data", "f" * 64]),
        ({"all": ("1",)}, {"data"}, ["f" * 64]),
        ({"all": ("false",)}, set(), ["f" * 64]),
        ({"all": ("true",), "label": ("tier",)}, set(), ["data"]),
        ({"all": ("true",), "label!": ("tier",)}, set(), ["f" * 64]),
    ],
)
def test_prune_spares_what_is_used_named_or_mounted(
    filters: dict[str, tuple[str, ...]], used: set[str], names: list[str]
) -> None:
    assert [spec.name for spec in ALL if selection.pruned(spec, filters, used)] == names


def test_unknown_filters_and_values_are_refused() -> None:
    with pytest.raises(InvalidArgument, match="invalid filter 'foo'"):
        selection.listed(NAMED, {"foo": ("1",)}, ())
    with pytest.raises(InvalidArgument, match="invalid filter 'dangling="):
        selection.listed(NAMED, {"dangling": ("maybe",)}, ())
    with pytest.raises(InvalidArgument, match="invalid filter 'name'"):
        selection.pruned(NAMED, {"name": ("data",)}, ())
