"""What a usable part is: pure judgement of what the programs print about themselves."""

from __future__ import annotations

import re
from dataclasses import dataclass

Version = tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Part:
    """One program of the toolchain and what is asked of it."""

    name: str
    packages: tuple[str, ...]
    """Debian packages that bring it, those that it only loads at run time included."""
    minimum: Version
    reason: str
    """Why not another one; shown to the person whose system has one."""
    below: Version = ()
    """The first version that is too new; empty: none is."""
    companions: tuple[str, ...] = ()
    """Programs of the same packages that this one starts."""
    features: tuple[str, ...] = ()
    """Words that `--version` must print."""
    self_test: tuple[str, ...] = ()
    """Arguments of a run that must succeed."""


PARTS = (
    Part(
        name="crun",
        packages=("crun", "libcriu2"),
        minimum=(1, 27),
        reason="CVE-2026-30892 is fixed in 1.27; Debian 12's has no checkpoint support",
        features=("+CRIU", "+SECCOMP", "+CAP"),
    ),
    Part(
        name="conmon",
        packages=("conmon",),
        minimum=(2, 1, 12),
        reason="older ones take other log options",
    ),
    Part(
        name="criu",
        packages=("criu",),
        minimum=(4, 2),
        reason="older ones cannot dump sockets on Linux 6.16 and later",
        self_test=("check",),
    ),
)

REFERENCE = (
    Part(
        name="dockerd",
        packages=("docker.io",),
        minimum=(20, 10),
        below=(20, 11),
        reason="answers are compared with 20.10's",
        companions=("docker-proxy",),
    ),
    Part(
        name="docker",
        packages=("docker.io",),
        minimum=(20, 10),
        below=(20, 11),
        reason="the oldest client that is tried is 20.10",
    ),
    Part(
        name="containerd",
        packages=("containerd",),
        minimum=(1, 6),
        below=(1, 7),
        reason="dockerd 20.10 came with 1.6",
        companions=("containerd-shim-runc-v2",),
    ),
    Part(name="runc", packages=("runc",), minimum=(1, 1), below=(1, 2), reason="dockerd 20.10 came with 1.1"),
)
"""The engine that ours is compared with, as Debian 12 ships it."""


def parse_version(text: str) -> Version:
    """The first dotted number in what `--version` printed, () when there is none."""
    found = re.search(r"\d+(?:\.\d+)+", text)
    return tuple(int(number) for number in found.group().split(".")) if found else ()


def debian_version(text: str) -> Version:
    """The upstream part of a Debian version, such as (2, 1, 13) of `1:2.1.13+ds1-2`."""
    return parse_version(text.partition(":")[2] or text)


def show(version: Version) -> str:
    """The version as people write it."""
    return ".".join(str(number) for number in version)


def judge(part: Part, printed: str) -> str:
    """Why a program that prints this as its version cannot be used; empty when it can."""
    version = parse_version(printed)
    if not version:
        return f"{part.name} does not tell its version"
    if version < part.minimum:
        return f"{part.name} {show(version)} is older than {show(part.minimum)}: {part.reason}"
    if part.below and version >= part.below:
        return f"{part.name} {show(version)} is not older than {show(part.below)}: {part.reason}"
    lacking = [feature for feature in part.features if feature not in printed.split()]
    return f"{part.name} {show(version)} was built without {' '.join(lacking)}" if lacking else ""
