"""Whether a further process can join a workload without its runtime."""

from __future__ import annotations

from typing import Any

import msgspec

from .spec import BPF_ANNOTATION


class Linux(msgspec.Struct):
    """The part of `linux` that is looked at."""

    namespaces: list[dict[str, str]] = []
    seccomp: dict[str, Any] | None = None


class Config(msgspec.Struct):
    """The part of a workload's configuration (config.json) that its execs depend on."""

    process: dict[str, Any]
    linux: Linux
    annotations: dict[str, str] = {}


def wants_filter(config: Config) -> bool:
    """Whether its processes have a system call filter."""
    return config.linux.seccomp is not None or BPF_ANNOTATION in config.annotations


def can_be_joined(config: Config) -> bool:
    """User namespaces, security labels and filters with flags or a listener are left to the runtime."""
    if any(namespace["type"] == "user" for namespace in config.linux.namespaces):
        return False
    if config.process.get("apparmorProfile") or config.process.get("selinuxLabel"):
        return False
    filter = config.linux.seccomp or {}
    return not (filter.get("flags") or filter.get("listenerPath"))
