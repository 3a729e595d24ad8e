"""API versions: which are served, and what a request's path says."""

from __future__ import annotations

import re
from typing import NamedTuple

from shared.errors import InvalidArgument


class Version(NamedTuple):
    """Compares by number: 1.9 is older than 1.24."""

    major: int
    minor: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"


NEWEST = Version(1, 55)
OLDEST = Version(1, 24)
OFFERED = Version(1, 51)
"""What clients are told and what a path without prefix means. Clients that take whatever a server offers
(docker-py) still read fields that 1.52 dropped; who asks for a newer version gets it."""
_PREFIX = re.compile(r"/v([0-9.]+)(/.*)\Z", re.DOTALL)
_NUMBER = re.compile(r"([0-9]{1,9})\.([0-9]{1,9})\Z")


def split(path: str) -> tuple[Version, str]:
    """The version asked for (`OFFERED` when there is no prefix) and the path without its prefix.

    Raises `InvalidArgument`, in Docker's words, for a version outside the range served.
    """
    match = _PREFIX.match(path)
    if match is None:
        return OFFERED, path
    number = _NUMBER.match(match[1])
    if number is None:
        raise InvalidArgument(f"invalid API version: {match[1]}")
    version = Version(int(number[1]), int(number[2]))
    if version > NEWEST:
        raise InvalidArgument(f"client version {version} is too new. Maximum supported API version is {NEWEST}")
    if version < OLDEST:
        raise InvalidArgument(
            f"client version {version} is too old. Minimum supported API version is {OLDEST}, "
            "please upgrade your client to a newer version"
        )
    return version, match[2]
