"""Finding networks: by reference, by Docker's filters."""

from __future__ import annotations

from collections.abc import Iterable

from shared import filters as common
from shared.contracts.network import Network, NetworkSpec
from shared.errors import InvalidArgument, NotFound
from shared.filters import Filters

from .networks import PREDEFINED

LIST_FILTERS = ("name", "id", "driver", "scope", "type", "label", "dangling")
PRUNE_FILTERS = ("label", "label!", "until")


def find(reference: str, specs: Iterable[NetworkSpec], scope: str = "") -> NetworkSpec:
    """By full id, then name, then unique begin of the id, as dockerd looks. Raises `NotFound`, `InvalidArgument`.

    With a scope (`local`, `swarm`, `global`), only among the networks of that scope.
    """
    specs = tuple(spec for spec in specs if scope in ("", spec.scope))
    exact = [spec for spec in specs if spec.id == reference] or [spec for spec in specs if spec.name == reference]
    if exact:
        return exact[0]
    begins = [spec for spec in specs if reference and spec.id.startswith(reference)]
    if len(begins) > 1:
        raise InvalidArgument(f"network {reference} is ambiguous ({len(begins)} matches found based on ID prefix)")
    if not begins:
        raise NotFound(f"network {reference} not found")
    return begins[0]


def check_list(filters: Filters) -> None:
    """Refuses filters of a list, and values, that dockerd refuses."""
    common.check(filters, LIST_FILTERS)
    for value in filters.get("type", ()):
        if value not in ("builtin", "custom"):
            raise InvalidArgument(f"invalid filter: 'type'='{value}'")
    common.boolean(filters, "dangling")


def matches(network: Network, filters: Filters) -> bool:
    """All filters must match; of several values of one filter any (of labels: all)."""
    spec = network.spec
    dangling = common.boolean(filters, "dangling")
    builtin = "builtin" if spec.name in PREDEFINED else "custom"
    return (
        common.any_matches(filters, "name", spec.name)
        and common.any_matches(filters, "id", spec.id)
        and _is_one_of(spec.driver, filters, "driver")
        and _is_one_of(spec.scope, filters, "scope")
        and _is_one_of(builtin, filters, "type")
        and (dangling is None or dangling == _dangling(network))
        and common.labels_match(spec.labels, filters)
    )


def _is_one_of(value: str, filters: Filters, name: str) -> bool:
    return value in (filters.get(name) or (value,))


def _dangling(network: Network) -> bool:
    return network.spec.name not in PREDEFINED and not network.endpoints


def prunable(spec: NetworkSpec, filters: Filters, now: int) -> bool:
    """Whether an unused network goes by these filters. What is predefined, or a configuration, stays. `now` in ns."""
    common.check(filters, PRUNE_FILTERS)
    until = common.until(filters, now)
    young = until and spec.created >= until
    stays = spec.name in PREDEFINED or spec.config_only
    return not stays and not young and common.labels_match(spec.labels, filters)
