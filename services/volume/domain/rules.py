"""What a volume may be called and made of, in dockerd's words."""

from __future__ import annotations

import re
from collections.abc import Mapping

from shared.errors import InvalidArgument, NotFound

ANONYMOUS_LABEL = "com.docker.volume.anonymous"
DRIVER = "local"
LONGEST_NAME = 255
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+\Z")
_OPTIONS = ("type", "o", "device", "size")
_NEEDS = {"device": ("type",), "type": ("device",), "o": ("device", "type")}


def check_name(name: str) -> None:
    """A name is one component of a path: two or more plain characters, no leading dot."""
    if len(name) == 1:
        _refuse(name, "volume name is too short, names should be at least two alphanumeric characters")
    if not _NAME.match(name):
        _refuse(
            name,
            f'"{name}" includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are '
            "allowed. If you intended to pass a host directory, use absolute path",
        )
    if len(name) > LONGEST_NAME:
        _refuse(name, f"volume name is too long, at most {LONGEST_NAME} characters are allowed")


def check_driver(name: str, driver: str) -> None:
    """There is only the driver `local`."""
    if driver not in ("", DRIVER):
        raise NotFound(f'create {name}: error looking up volume plugin {driver}: plugin "{driver}" not found')


def check_options(name: str, options: Mapping[str, str]) -> None:
    """The options of the driver `local`: `type`, `device` and `o` of a mount."""
    for option in options:
        if option not in _OPTIONS:
            _refuse(name, f'invalid option: "{option}"')
    if options.get("size", "0") not in ("", "0"):
        _refuse(name, "quota size requested but no quota support")
    for option, needed in _NEEDS.items():
        missing = [other for other in needed if option in options and other not in options]
        if missing:
            _refuse(name, f'missing required option: "{missing[0]}"')


def _refuse(name: str, text: str) -> None:
    raise InvalidArgument(f"create {name}: {text}")


def needs_mount(options: Mapping[str, str]) -> bool:
    """Whether the volume is a mount of something, not a folder."""
    return bool(options.get("device") or options.get("type"))


def check_subpath(subpath: str) -> None:
    """A subpath stays within the volume as it is written; links in it are kept inside when it is opened."""
    if subpath.startswith("/") or ".." in subpath.split("/") or "\0" in subpath:
        raise InvalidArgument(f"subpath must be a relative path within the volume: {subpath!r}")
