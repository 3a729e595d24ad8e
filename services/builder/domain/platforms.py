"""`--platform` as text."""

from __future__ import annotations

import platform
import re

from shared.contracts.common import Platform
from shared.dockerfile.text import quote
from shared.errors import InvalidArgument

_MACHINES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}
_PART = re.compile(r"[A-Za-z0-9_.-]+\Z")
_SYSTEMS = frozenset(("linux", "windows", "darwin", "freebsd"))


def parse_platform(text: str) -> Platform:
    """`linux/arm64/v8`, `arm64` or `linux`; raises `InvalidArgument` with containerd's text."""
    parts = text.split("/")
    if len(parts) > 3 or not all(_PART.match(part) for part in parts):
        raise InvalidArgument(f"failed to parse platform {text}: {quote(text)}: invalid platform")
    if len(parts) == 1:
        return Platform(os=parts[0].lower()) if parts[0].lower() in _SYSTEMS else Platform(architecture=parts[0])
    return Platform(os=parts[0], architecture=parts[1], variant=parts[2] if len(parts) == 3 else "")


def host_platform() -> Platform:
    """That of this machine."""
    machine = platform.machine()
    return Platform(architecture=_MACHINES.get(machine, machine))
