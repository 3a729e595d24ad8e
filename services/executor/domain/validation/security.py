"""`--security-opt`, capabilities, devices and sysctls."""

from __future__ import annotations

import re
from dataclasses import dataclass

import msgspec

from shared.contracts.container import DeviceMapping, HostConfig
from shared.errors import InvalidArgument

from ..text import parse_bool, quote

_KNOWN = (
    "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE "
    "NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT "
    "SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE "
    "AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ "
    "PERFMON BPF CHECKPOINT_RESTORE"
)
CAPABILITIES = frozenset(_KNOWN.split())
_CGROUP_RULE = re.compile(r"[acb] ([0-9]+|\*):([0-9]+|\*) [rwm]{1,3}\Z")
_SYSCTL = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9_.*/:-]*\Z")
_IPC_SYSCTLS = frozenset(
    f"kernel.{name}" for name in ("msgmax", "msgmnb", "msgmni", "sem", "shmall", "shmmax", "shmmni", "shm_rmid_forced")
)
_UTS_SYSCTLS = frozenset({"kernel.domainname", "kernel.hostname"})


@dataclass(frozen=True)
class SecurityOptions:
    """What `--security-opt` means. `seccomp`: empty = default, `unconfined`, or a profile's JSON."""

    no_new_privileges: bool = False
    seccomp: str = ""
    apparmor: str = ""
    writable_cgroups: bool | None = None
    labels: tuple[str, ...] = ()


def parse_security_options(options: tuple[str, ...]) -> SecurityOptions:
    """Raises `InvalidArgument` for an option that Docker does not know."""
    parsed = SecurityOptions()
    for option in options:
        parsed = _with_option(parsed, option)
    return parsed


def _with_option(parsed: SecurityOptions, option: str) -> SecurityOptions:
    if option in ("no-new-privileges", "writable-cgroups"):
        option += "=true"
    if option == "disable":
        option = "label=disable"
    separator = "=" if "=" in option else ":"
    key, found, value = option.partition(separator)
    if not found:
        raise InvalidArgument(f"invalid --security-opt 1: {quote(option)}")
    if key == "label":
        return _replace(parsed, labels=(*parsed.labels, value))
    if key in ("apparmor", "seccomp"):
        return _replace(parsed, **{key: "" if (key, value) == ("seccomp", "builtin") else value})
    switch = parse_bool(value)
    if key not in ("no-new-privileges", "writable-cgroups") or switch is None:
        raise InvalidArgument(f"invalid --security-opt 2: {quote(option)}")
    return _replace(parsed, **{key.replace("-", "_"): switch})


def _replace(parsed: SecurityOptions, **changes: object) -> SecurityOptions:
    return SecurityOptions(**{**parsed.__dict__, **changes})


def check_security(asked: HostConfig) -> None:
    """Raises `InvalidArgument`, also for a seccomp profile that is not JSON."""
    seccomp = parse_security_options(asked.security_opt).seccomp
    if seccomp and seccomp != "unconfined":
        try:
            profile = msgspec.json.decode(seccomp)
        except msgspec.DecodeError as error:
            raise InvalidArgument(f"Decoding seccomp profile failed: {error}") from None
        if not isinstance(profile, dict):
            raise InvalidArgument("Decoding seccomp profile failed: not an object")
    for field, names in (("CapAdd", asked.cap_add), ("CapDrop", asked.cap_drop)):
        for name in names:
            _check_capability(field, name.upper())


def _check_capability(field: str, name: str) -> None:
    if name != "ALL" and name.removeprefix("CAP_") not in CAPABILITIES:
        full = name if name.startswith("CAP_") else f"CAP_{name}"
        raise InvalidArgument(f"invalid {field}: unknown capability: {quote(full)}")


def check_devices(asked: HostConfig) -> None:
    """Form only: whether the device is there is found when the container starts, as in Docker."""
    for device in asked.devices:
        _check_device(device)
    for rule in asked.device_cgroup_rules:
        if not _CGROUP_RULE.match(rule):
            raise InvalidArgument(f"invalid device cgroup rule format: '{rule}'")
    for request in asked.device_requests:
        wanted = " ".join(f"[{' '.join(group)}]" for group in request.capabilities)
        raise InvalidArgument(f"could not select device driver {quote(request.driver)} with capabilities: [{wanted}]")


def _check_device(device: DeviceMapping) -> None:
    if not device.path_on_host.startswith("/"):
        raise InvalidArgument(f"{device.path_on_host} is not an absolute path")
    permissions = device.cgroup_permissions
    if not set(permissions) <= set("rwm") or len(permissions) > 3:
        raise InvalidArgument(f"invalid device permissions: {quote(permissions)}")


def check_sysctls(asked: HostConfig) -> None:
    """Only those of a namespace of the container's own may be set."""
    for name in asked.sysctls:
        if not _SYSCTL.match(name) or "/" in name:
            raise InvalidArgument(f"sysctl '{name}' is not allowed")
        if name.startswith("net."):
            _check_own(name, "network", asked.network_mode)
        elif name in _IPC_SYSCTLS or name.startswith("fs.mqueue."):
            _check_own(name, "IPC", asked.ipc_mode)
        elif name in _UTS_SYSCTLS:
            _check_own(name, "UTS", asked.uts_mode)
        else:
            raise InvalidArgument(f"sysctl {quote(name)} is not in a separate kernel namespace")


def _check_own(name: str, namespace: str, mode: str) -> None:
    if mode == "host":
        raise InvalidArgument(f"sysctl {quote(name)} not allowed in host {namespace} namespace")
