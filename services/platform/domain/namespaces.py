"""Which namespaces a workload gets (namespaces(7), runtime-spec `linux.namespaces`)."""

from __future__ import annotations

from shared.contracts.platform import Isolation
from shared.errors import InvalidArgument

HOST = "host"
PRIVATE = "private"
SHAREABLE = "shareable"
NONE = "none"


def namespaces(isolation: Isolation, cgroup_v2: bool) -> list[dict[str, str]]:
    """The list for the OCI configuration: an own one, or one to join by path; the host's are left out.

    The control group namespace is private on cgroup v2 and the host's on v1 unless asked for, as Docker has it.
    """
    wanted = {
        "mount": "",
        "network": isolation.network,
        "uts": isolation.uts,
        "pid": isolation.pid,
        "ipc": isolation.ipc,
        "cgroup": _cgroup(isolation, cgroup_v2),
    }
    return [_entry(kind, value) for kind, value in wanted.items() if value != HOST]


def _entry(kind: str, value: str) -> dict[str, str]:
    if value.startswith("/"):
        return {"type": kind, "path": value}
    if value in ("", PRIVATE) or (kind == "ipc" and value in (SHAREABLE, NONE)):
        return {"type": kind}
    raise InvalidArgument(f"invalid {kind} namespace: {value!r}")


def own_cgroup(isolation: Isolation, cgroup_v2: bool) -> bool:
    """Whether its control groups are the roots of what it sees."""
    return _cgroup(isolation, cgroup_v2) == PRIVATE


def _cgroup(isolation: Isolation, cgroup_v2: bool) -> str:
    return isolation.cgroup or (PRIVATE if cgroup_v2 else HOST)


def own_network(isolation: Isolation) -> bool:
    """Whether the network namespace belongs to this workload alone (its settings may be changed)."""
    return isolation.network != HOST and not isolation.network.startswith("/proc/")
