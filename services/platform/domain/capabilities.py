"""Which Linux capabilities a process gets (capabilities(7), Docker's --cap-add and --cap-drop)."""

from __future__ import annotations

from collections.abc import Iterable

from shared.errors import InvalidArgument

KNOWN = tuple(
    f"CAP_{name}"
    for name in (
        "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP",
        "LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK",
        "IPC_OWNER", "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN",
        "SYS_BOOT", "SYS_NICE", "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE",
        "AUDIT_CONTROL", "SETFCAP", "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND",
        "AUDIT_READ", "PERFMON", "BPF", "CHECKPOINT_RESTORE",
    )
)  # fmt: skip
"""By number: the index is the kernel's bit."""

DEFAULT = tuple(
    f"CAP_{name}"
    for name in (
        "CHOWN", "DAC_OVERRIDE", "FSETID", "FOWNER", "MKNOD", "NET_RAW", "SETGID", "SETUID", "SETFCAP",
        "SETPCAP", "NET_BIND_SERVICE", "SYS_CHROOT", "KILL", "AUDIT_WRITE",
    )
)  # fmt: skip
"""Docker's fourteen."""

ALL = "ALL"


def from_mask(mask: int) -> frozenset[str]:
    """The names of a bit mask as in /proc/PID/status."""
    return frozenset(name for bit, name in enumerate(KNOWN) if mask >> bit & 1)


SETS = ("bounding", "effective", "permitted", "inheritable")


def to_mask(names: Iterable[str]) -> int:
    """The bit mask of names that the kernel knows."""
    return sum(1 << KNOWN.index(name) for name in names)


def effective(add: Iterable[str], drop: Iterable[str], privileged: bool, available: frozenset[str]) -> tuple[str, ...]:
    """The set for one process, in the kernel's order; what the host does not have is left out, not refused.

    Raises `InvalidArgument` for a name that no kernel knows.
    """
    added, dropped = _names(add, "CapAdd"), _names(drop, "CapDrop")
    if privileged:
        wanted = set(KNOWN)
    elif ALL in added:
        wanted = set(KNOWN) - dropped
    elif ALL in dropped:
        wanted = added
    else:
        wanted = (set(DEFAULT) - dropped) | added
    return tuple(name for name in KNOWN if name in wanted and name in available)


def _names(given: Iterable[str], field: str) -> set[str]:
    names = set()
    for text in given:
        name = text.upper()
        if name != ALL and not name.startswith("CAP_"):
            name = f"CAP_{name}"
        if name != ALL and name not in KNOWN:
            raise InvalidArgument(f'invalid {field}: unknown capability: "{name}"')
        names.add(name)
    return names
