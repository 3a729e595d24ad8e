"""Choosing among platforms (containerd's rules; protocol of OCI image indexes)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TypeVar

from shared.contracts.common import Platform
from shared.errors import InvalidArgument

_ARCHITECTURES = {"x86_64": "amd64", "x86-64": "amd64", "aarch64": "arm64", "armhf": "arm", "armel": "arm",
                  "i386": "386", "i686": "386"}  # fmt: skip
_PART = re.compile(r"[A-Za-z0-9_.-]+\Z")
T = TypeVar("T")


def normalise(platform: Platform) -> Platform:
    """The canonical spelling: Go's architecture names, variant only where it says something."""
    architecture = platform.architecture.lower()
    variant = platform.variant.lower()
    if architecture in ("armhf", "armel") and not variant:
        variant = "v7" if architecture == "armhf" else "v6"
    architecture = _ARCHITECTURES.get(architecture, architecture)
    if architecture == "arm":
        variant = variant if not variant.isdigit() else f"v{variant}"
        variant = variant or "v7"
    if (architecture, variant) in (("arm64", "8"), ("arm64", "v8"), ("amd64", "v1")):
        variant = ""
    return Platform(os=platform.os.lower(), architecture=architecture, variant=variant, os_version=platform.os_version)


def describe(platform: Platform) -> str:
    """`linux/arm64/v8`, as `--platform` takes it."""
    return "/".join(part for part in (platform.os, platform.architecture, platform.variant) if part)


def check(platform: Platform) -> Platform:
    """The normalised platform; `InvalidArgument` for parts no platform has."""
    for part in (platform.os, platform.architecture, platform.variant or "-"):
        if not _PART.match(part):
            raise InvalidArgument(f"{describe(platform)!r} is an invalid platform: {part!r}")
    return normalise(platform)


def acceptable(wanted: Platform) -> list[tuple[str, str]]:
    """(architecture, variant) pairs that a host of this platform runs without emulation, best first."""
    wanted = normalise(wanted)
    architecture, variant = wanted.architecture, wanted.variant
    if architecture == "amd64":
        level = int(variant[1:]) if re.fullmatch(r"v[2-9]", variant) else 1
        lower = [("amd64", f"v{n}" if n > 1 else "") for n in range(level - 1, 0, -1)]
        return [("amd64", variant), *lower, ("386", "")]
    if architecture == "arm":
        return _arm(variant)
    if architecture == "arm64":
        return _arm64(variant or "v8") + _arm("v8")
    return [(architecture, variant)]


def _arm(variant: str) -> list[tuple[str, str]]:
    level = int(variant[1:]) if re.fullmatch(r"v\d", variant) else 0
    return [("arm", variant)] + [("arm", f"v{n}") for n in range(level - 1, 4, -1)]


def _arm64(variant: str) -> list[tuple[str, str]]:
    """v9.x runs v9.0 to v9.x and v8.0 to v8.(x+5); v8.x runs v8.0 to v8.x."""
    match = re.fullmatch(r"v([89])(?:\.(\d))?", variant)
    if not match:
        return [("arm64", variant)]
    major, minor = int(match[1]), int(match[2] or 0)
    found = [("arm64", f"v9.{n}" if n else "v9") for n in range(minor, -1, -1)] if major == 9 else []
    top = minor + 5 if major == 9 else minor
    return found + [("arm64", f"v8.{n}" if n else "") for n in range(top, -1, -1)]


def matches(wanted: Platform, actual: Platform) -> bool:
    """Whether an image of platform `actual` is what was asked for. An image without a variant is taken at its word."""
    has = normalise(actual)
    if normalise(wanted).os != has.os:
        return False
    pairs = acceptable(wanted)
    return (has.architecture, has.variant) in pairs or (
        not actual.variant and has.architecture == normalise(wanted).architecture
    )


def pick(wanted: Platform, candidates: Iterable[tuple[Platform, T]]) -> T | None:
    """As `choose`; where that finds nothing, the first that is taken at its word."""
    pairs = list(candidates)
    found = choose(wanted, pairs)
    if found is not None:
        return found
    return next((value for platform, value in pairs if matches(wanted, platform)), None)


def choose(wanted: Platform, candidates: Iterable[tuple[Platform, T]]) -> T | None:
    """The candidate that suits best, or None. Entries of platform unknown/unknown (attestations) never do."""
    pairs, os = acceptable(wanted), normalise(wanted).os
    ranked: list[tuple[int, int, T]] = []
    for position, (platform, value) in enumerate(candidates):
        has = normalise(platform)
        pair = (has.architecture, has.variant)
        if has.os == os and pair in pairs:
            ranked.append((pairs.index(pair), position, value))
    return min(ranked, key=lambda entry: entry[:2])[2] if ranked else None
