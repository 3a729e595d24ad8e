"""How the container is to be tied to its host."""

from __future__ import annotations

import msgspec

from shared.contracts.container import HostConfig, RestartPolicy
from shared.errors import InvalidArgument

from ..mounts.parse import check_mount, check_tmpfs_target
from .host import Host
from .logs import checked_log_config
from .networks import check_extra_hosts, check_ports
from .resources import check_resources
from .security import check_devices, check_security, check_sysctls


def check_host_config(asked: HostConfig, host: Host) -> tuple[HostConfig, list[str]]:
    """As it will be stored, and warnings; raises `InvalidArgument`."""
    asked = msgspec.structs.replace(asked, restart_policy=_policy(asked.restart_policy))
    if asked.auto_remove and asked.restart_policy.name != "no":
        raise InvalidArgument("can't create 'AutoRemove' container with restart policy")
    for mount in asked.mounts:
        check_mount(mount, host.exists)
    check_extra_hosts(asked.extra_hosts)
    check_ports(asked)
    check_policy(asked.restart_policy)
    check_security(asked)
    if "" in asked.annotations:
        raise InvalidArgument("invalid Annotations: the empty string is not permitted as an annotation key")
    asked, warnings = check_resources(asked, host)
    _check_numbers(asked)
    warnings += _network_warnings(asked, host)
    _check_runtime(asked, host)
    for target in asked.tmpfs:
        check_tmpfs_target(target)
    check_devices(asked)
    check_sysctls(asked)
    _check_missing(asked)
    if asked.cgroup:  # dockerd keeps and shows it, and does nothing with it either
        warnings.append(
            f"HostConfig.Cgroup ({asked.cgroup}) has no effect: every container has a control group of its own"
        )
    return msgspec.structs.replace(asked, log_config=checked_log_config(asked.log_config, host.exists)), warnings


def _policy(policy: RestartPolicy) -> RestartPolicy:
    return policy if policy.name else RestartPolicy(maximum_retry_count=policy.maximum_retry_count)


def check_policy(policy: RestartPolicy) -> None:
    """Raises `InvalidArgument` for a policy that Docker does not know, or a count that it cannot have."""
    name, count = policy.name, policy.maximum_retry_count
    if name not in ("no", "always", "on-failure", "unless-stopped"):
        raise InvalidArgument(
            f"invalid restart policy: unknown policy '{name}'; "
            "use one of 'no', 'always', 'on-failure', or 'unless-stopped'"
        )
    if name == "on-failure":
        if count < 0:
            raise InvalidArgument("invalid restart policy: maximum retry count cannot be negative")
    elif count != 0:
        negative = " and cannot be negative" if count < 0 else ""
        raise InvalidArgument(
            f"invalid restart policy: maximum retry count can only be used with 'on-failure'{negative}"
        )


def _check_numbers(asked: HostConfig) -> None:
    if asked.shm_size < 0:
        raise InvalidArgument("SHM size can not be less than 0")
    if not -1000 <= asked.oom_score_adj <= 1000:
        raise InvalidArgument(f"Invalid value {asked.oom_score_adj}, range for oom score adj is [-1000, 1000]")


def _network_warnings(asked: HostConfig, host: Host) -> list[str]:
    warnings: list[str] = []
    if not host.has("ipv4_forwarding") and asked.network_mode not in ("host", "none"):
        warnings.append("IPv4 forwarding is disabled. Networking will not work.")
    if asked.network_mode == "host" and asked.port_bindings:
        warnings.append("Published ports are discarded when using host network mode")
    return warnings


def _check_runtime(asked: HostConfig, host: Host) -> None:
    known = host.info.runtimes
    if asked.runtime and known and asked.runtime not in known:
        raise InvalidArgument(f"unknown or invalid runtime name: {asked.runtime}")


def _check_missing(asked: HostConfig) -> None:
    """What the engine does not have is refused, not ignored."""
    if asked.storage_opt:
        raise InvalidArgument("--storage-opt is supported only for overlay over xfs with 'pquota' mount option")
