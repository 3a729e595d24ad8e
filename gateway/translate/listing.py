"""Which containers `docker ps` shows: the filters, decided without I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from shared.contracts.container import ContainerSpec, ContainerStatus
from shared.errors import InvalidArgument

from . import filters as rules
from .container import endpoints, ports
from .filters import Filters
from .status import is_running

ACCEPTED = frozenset(
    (
        *("ancestor", "before", "exited", "expose", "health", "id", "is-task", "isolation", "label", "name"),
        *("network", "publish", "since", "status", "volume"),
    )
)
PRUNE_ACCEPTED = frozenset(("label", "label!", "until"))
STATES = ("created", "running", "paused", "restarting", "removing", "exited", "dead")
HEALTH = ("none", "starting", "healthy", "unhealthy")


@dataclass(frozen=True)
class Criteria:
    """A listing as asked for, checked.

    `before`, `since`: creation times; `images`: ids that `ancestor` stands for; `networks`: names of those whose ids
    `network` begins, for what does not run is recorded by name alone.
    """

    filters: Filters = field(default_factory=dict)
    all: bool = False
    limit: int = 0
    before: int | None = None
    since: int | None = None
    images: frozenset[str] | None = None
    networks: frozenset[str] = frozenset()


def check(filters: Filters) -> None:
    """Refuses filters and values that Docker refuses."""
    rules.check(filters, ACCEPTED)
    _one_of(filters, "status", "state", STATES)
    _one_of(filters, "health", "health", HEALTH)
    for value in filters.get("exited", ()):
        _exit_code(value)
    for name in ("publish", "expose"):
        for value in filters.get(name, ()):
            port_range(name, value)
    rules.boolean(filters, "is-task", False)


def _one_of(filters: Filters, name: str, what: str, known: tuple[str, ...]) -> None:
    for value in filters.get(name, ()):
        if value not in known:
            choice = ", ".join(known)
            raise InvalidArgument(
                f"invalid filter '{name}={value}': invalid value for {what} ({value}): must be one of {choice}"
            )


def _exit_code(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise InvalidArgument(
            f"invalid filter 'exited={text}': strconv.Atoi: parsing \"{text}\": invalid syntax"
        ) from None


def port_range(name: str, text: str) -> tuple[int, int, str]:
    """`80`, `80/udp`, `8000-8010/tcp`: first and last port and protocol."""
    if ":" in text:
        raise InvalidArgument(f"filter for '{name}' should not contain ':': {text}")
    numbers, _, protocol = text.partition("/")
    first, dash, last = numbers.partition("-")
    bounds = (first, last if dash else first)
    if not all(bound.isascii() and bound.isdigit() and len(bound) <= 5 for bound in bounds):
        raise InvalidArgument(f"error while looking up for {name} {text}: invalid port")
    low, high = int(bounds[0]), int(bounds[1])
    if low > high or high > 65535:
        raise InvalidArgument(f"error while looking up for {name} {text}: invalid port range")
    return low, high, protocol or "tcp"


def includes(spec: ContainerSpec, status: ContainerStatus, criteria: Criteria) -> bool:
    """Whether one container is to be shown, limits apart."""
    filters = criteria.filters
    everything = criteria.all or criteria.limit > 0 or "status" in filters
    if not everything and not is_running(status):
        return False
    if not filters:
        return True
    if criteria.before is not None and spec.created >= criteria.before:
        return False
    if criteria.since is not None and spec.created <= criteria.since:
        return False
    return all(test(spec, status, criteria) for name, test in _TESTS if name in filters)


Test = Callable[[ContainerSpec, ContainerStatus, Criteria], bool]


def _name(spec: ContainerSpec, status: ContainerStatus, criteria: Criteria) -> bool:
    return rules.match(criteria.filters, "name", f"/{spec.name}") or rules.match(criteria.filters, "name", spec.name)


def _id(spec: ContainerSpec, status: ContainerStatus, criteria: Criteria) -> bool:
    return rules.match(criteria.filters, "id", spec.id)


def _label(spec: ContainerSpec, status: ContainerStatus, criteria: Criteria) -> bool:
    return rules.labels(criteria.filters, spec.config.labels)


def _exited(spec: ContainerSpec, status: ContainerStatus, criteria: Criteria) -> bool:
    ended = status.started_at != 0 and not is_running(status)
    return ended and status.exit_code in {_exit_code(text) for text in criteria.filters["exited"]}


def _status(spec: ContainerSpec, status: ContainerStatus, criteria: Criteria) -> bool:
    return rules.exact(criteria.filters, "status", status.state)


def _health(spec: ContainerSpec, status: ContainerStatus, criteria: Criteria) -> bool:
    return rules.exact(criteria.filters, "health", status.health.status if status.health else "none")


def _volume(spec: ContainerSpec, status: ContainerStatus, criteria: Criteria) -> bool:
    present = {mount.destination for mount in spec.mounts} | {mount.name or mount.source for mount in spec.mounts}
    return any(wanted in present for wanted in criteria.filters["volume"])


def _ancestor(spec: ContainerSpec, status: ContainerStatus, criteria: Criteria) -> bool:
    return criteria.images is None or spec.image_id in criteria.images


def _network(spec: ContainerSpec, status: ContainerStatus, criteria: Criteria) -> bool:
    networks = endpoints(spec, status)
    if any(name in criteria.networks and not one.network_id for name, one in networks.items()):
        return True
    return any(
        wanted in networks or any(one.network_id.startswith(wanted) for one in networks.values() if wanted)
        for wanted in criteria.filters["network"]
    )


def _ports(spec: ContainerSpec, status: ContainerStatus, criteria: Criteria) -> bool:
    shown = ports(status)
    for name, key in (("publish", "PublicPort"), ("expose", "PrivatePort")):
        for text in criteria.filters.get(name, ()):
            low, high, protocol = port_range(name, text)
            if any(low <= port.get(key, -1) <= high and port["Type"] == protocol for port in shown):
                return True
    return False


def _task(spec: ContainerSpec, status: ContainerStatus, criteria: Criteria) -> bool:
    return not rules.boolean(criteria.filters, "is-task", False)


_TESTS: tuple[tuple[str, Test], ...] = (
    ("name", _name),
    ("id", _id),
    ("label", _label),
    ("exited", _exited),
    ("status", _status),
    ("health", _health),
    ("volume", _volume),
    ("ancestor", _ancestor),
    ("network", _network),
    ("publish", _ports),
    ("expose", _ports),
    ("is-task", _task),
)


def prunable(spec: ContainerSpec, status: ContainerStatus, filters: Filters, until: int | None) -> bool:
    """Whether `container prune` takes it: not running, old enough, labels as asked."""
    if is_running(status) or status.state == "removing":
        return False
    if until is not None and spec.created >= until:
        return False
    return rules.labels(filters, spec.config.labels) and rules.not_labels(filters, spec.config.labels)


def volumes_in_use(specs: Iterable[ContainerSpec]) -> dict[str, tuple[str, ...]]:
    """Volume names to the ids of the containers that have them."""
    users: dict[str, tuple[str, ...]] = {}
    for spec in specs:
        for mount in spec.mounts:
            if mount.type == "volume" and mount.name:
                users[mount.name] = (*users.get(mount.name, ()), spec.id)
    return users
