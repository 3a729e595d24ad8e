"""Which volumes a list or a prune is about."""

from __future__ import annotations

from collections.abc import Collection

from shared import filters as common
from shared.contracts.volume import VolumeSpec
from shared.filters import Filters

from .rules import ANONYMOUS_LABEL

LIST_FILTERS = ("dangling", "name", "driver", "label")
PRUNE_FILTERS = ("label", "label!", "all")


def listed(spec: VolumeSpec, filters: Filters, in_use: Collection[str]) -> bool:
    """Whether a list shows the volume. Raises for filters there are none of."""
    common.check(filters, LIST_FILTERS)
    dangling = common.boolean(filters, "dangling")
    return (
        common.any_matches(filters, "name", spec.name)
        and spec.driver in (filters.get("driver") or (spec.driver,))
        and (dangling is None or dangling == (spec.name not in in_use))
        and common.labels_match(spec.labels, filters)
    )


def pruned(spec: VolumeSpec, filters: Filters, in_use: Collection[str]) -> bool:
    """Whether a prune removes the volume: unused, a folder, and anonymous unless `all` are meant."""
    common.check(filters, PRUNE_FILTERS)
    everything = common.boolean(filters, "all")
    return (
        spec.name not in in_use
        and not spec.options
        and (bool(everything) or ANONYMOUS_LABEL in spec.labels)
        and common.labels_match(spec.labels, filters)
    )
