"""`RUN --mount=...` (buildkit's `Mount`)."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from shared.dockerfile.instructions import Expander
from shared.dockerfile.text import quote
from shared.errors import InvalidArgument

BIND, CACHE, TMPFS, SECRET, SSH = "bind", "cache", "tmpfs", "secret", "ssh"
TYPES = (BIND, CACHE, TMPFS, SECRET, SSH)
SHARING = ("shared", "private", "locked")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgtp]?)i?b?\Z", re.IGNORECASE)
_SECRETS = "/run/secrets/"
_TRUE = ("1", "t", "T", "TRUE", "true", "True")
_FALSE = ("0", "f", "F", "FALSE", "false", "False")


@dataclass(frozen=True)
class Mount:
    """One mount of one RUN. `size` in bytes; `env`: the variable a secret becomes, None for none."""

    type: str = BIND
    from_: str = ""
    source: str = ""
    target: str = ""
    readonly: bool | None = None
    size: int = 0
    id: str = ""
    sharing: str = ""
    required: bool = False
    mode: int | None = None
    uid: int | None = None
    gid: int | None = None
    env: str | None = None
    given: frozenset[str] = field(default=frozenset())

    @property
    def writable(self) -> bool:
        return not (self.readonly if self.readonly is not None else self.type not in (CACHE, TMPFS))

    @property
    def cache(self) -> str:
        """The cache's name."""
        return self.id or self.target

    @property
    def secret(self) -> str:
        """The secret's name."""
        return self.id or self.source or self.target.rpartition("/")[2]

    @property
    def place(self) -> str:
        """Where it is mounted."""
        if self.target or self.type != SECRET:
            return self.target
        return "" if self.env is not None else _SECRETS + self.secret.rpartition("/")[2]


def _split(text: str) -> list[str]:
    return next(csv.reader([text], strict=True), []) if text else []


def parse(text: str, expand: Expander) -> Mount:
    """A mount as written, its variables replaced; raises `InvalidArgument` with BuildKit's text."""
    try:
        words = _split(text)
    except csv.Error as error:
        raise InvalidArgument(f"failed to parse csv mounts: {error}") from None
    mount = Mount()
    for word in words:
        name, equals, value = word.partition("=")
        mount = _apply(mount, name.lower(), expand(value) if equals else None, word)
    return _checked(mount)


def _apply(mount: Mount, name: str, value: str | None, word: str) -> Mount:
    if value is None:
        if name not in _FLAGS:
            raise InvalidArgument(f"invalid field '{word}' must be a key=value pair")
        value = "true"
    read = _READERS.get(name)
    if read is None:
        raise InvalidArgument(f"unexpected key '{name}' in '{word}'")
    if name in _ONLY and mount.type not in _ONLY[name]:
        raise InvalidArgument(f"unexpected key '{name}' for mount type '{mount.type}'")
    changes = read(name, value)
    return replace(mount, **changes, given=mount.given | changes.keys())


def _text(field_name: str) -> Callable[[str, str], dict[str, Any]]:
    return lambda name, value: {field_name: value}


def _type(name: str, value: str) -> dict[str, Any]:
    if value.lower() not in TYPES:
        raise InvalidArgument(f"unsupported mount type {quote(value)}")
    return {"type": value.lower()}


def _boolean(name: str, value: str) -> bool:
    if value not in _TRUE + _FALSE:
        raise InvalidArgument(f"invalid value for {name}: {value}")
    return value in _TRUE


def _readonly(name: str, value: str) -> dict[str, Any]:
    return {"readonly": _boolean(name, value)}


def _readwrite(name: str, value: str) -> dict[str, Any]:
    return {"readonly": not _boolean(name, value)}


def _required(name: str, value: str) -> dict[str, Any]:
    return {"required": _boolean(name, value)}


def _size(name: str, value: str) -> dict[str, Any]:
    match = _SIZE.match(value)
    if match is None:
        raise InvalidArgument(f"invalid value for {name}: {value}")
    power = " kmgtp".index(match[2].lower() or " ")
    return {"size": int(float(match[1]) * 1024**power)}


def _sharing(name: str, value: str) -> dict[str, Any]:
    if value.lower() not in SHARING:
        raise InvalidArgument(f"unsupported sharing value {quote(value)}")
    return {"sharing": value.lower()}


def _mode(name: str, value: str) -> dict[str, Any]:
    if not re.fullmatch(r"[0-7]{1,6}", value):
        raise InvalidArgument(f"invalid value {value} for mode")
    return {"mode": int(value, 8)}


def _number(name: str, value: str) -> dict[str, Any]:
    if not re.fullmatch(r"[0-9]{1,10}", value) or int(value) >= 1 << 32:
        raise InvalidArgument(f"invalid value {value} for {name}")
    return {name: int(value)}


_FLAGS = frozenset(("readonly", "ro", "readwrite", "rw", "required"))
_ONLY: Mapping[str, tuple[str, ...]] = {"required": (SECRET, SSH), "size": (TMPFS,)}
_READERS: Mapping[str, Callable[[str, str], dict[str, Any]]] = {
    "type": _type, "from": _text("from_"), "source": _text("source"), "src": _text("source"),
    "target": _text("target"), "dst": _text("target"), "destination": _text("target"),
    "readonly": _readonly, "ro": _readonly, "readwrite": _readwrite, "rw": _readwrite, "required": _required,
    "size": _size, "id": _text("id"), "sharing": _sharing, "mode": _mode, "uid": _number, "gid": _number,
    "env": _text("env"),
}  # fmt: skip


def _checked(mount: Mount) -> Mount:
    if mount.type in (BIND, TMPFS):
        for name in ("mode", "uid", "gid"):
            if getattr(mount, name) is not None:
                raise InvalidArgument(f"{name} not allowed for {quote(mount.type)} type mounts")
    if mount.sharing and mount.type != CACHE:
        raise InvalidArgument(f"invalid cache sharing set for {mount.type} mount")
    if mount.type == SECRET:
        _check_secret(mount)
    elif not mount.target:
        raise InvalidArgument(f"target is required for a mount of type {quote(mount.type)}")
    return mount


def _check_secret(mount: Mount) -> None:
    if mount.from_:
        raise InvalidArgument("secret mount should not have a from")
    if not mount.source and not mount.target and not mount.id:
        raise InvalidArgument("invalid secret mount. one of source, target required")
    if mount.source and mount.id:
        raise InvalidArgument("both source and id can't be set")
