"""Device rules as control groups v2 have them: a program that the kernel asks at every mknod and open of a device.

Instructions: Linux, Documentation/bpf/standardization/instruction-set.rst. What it is asked with: `struct
bpf_cgroup_dev_ctx` of linux/bpf.h.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from typing import Any

from shared.errors import InvalidArgument

_ACCESS = {"m": 1, "r": 2, "w": 4}
_ALL = 7
_KIND = {"b": 1, "c": 2}
_ANY = ("a", None, None)
_MOST = (1 << 31) - 1
"""Of a number in an instruction: no device has higher ones."""
_RESULT, _CONTEXT, _TYPE, _WANTED, _MAJOR, _MINOR = range(6)
"""Registers: r0 is what is returned, r1 what is given."""
_LOAD_WORD, _MOVE, _MOVE_REGISTER, _AND, _SHIFT_RIGHT, _EXIT = 0x61, 0xB7, 0xBF, 0x57, 0x77, 0x95
_JUMP_UNEQUAL = 0x56
"""On 32 bits: numbers of devices have no more."""


def program(rules: Iterable[Mapping[str, Any]]) -> bytes | None:
    """The instructions for these rules (runtime-spec `linux.resources.devices`, each on top of those before); None:
    everything is allowed, and no program is needed. A deny of less than everything raises `InvalidArgument`.
    """
    allowed = _allowed(rules)
    if allowed is None:
        return None
    code = [
        _instruction(_LOAD_WORD, _TYPE, _CONTEXT, offset=0),
        _instruction(_MOVE_REGISTER, _WANTED, _TYPE),
        _instruction(_AND, _TYPE, value=0xFFFF),
        _instruction(_SHIFT_RIGHT, _WANTED, value=16),
        _instruction(_LOAD_WORD, _MAJOR, _CONTEXT, offset=4),
        _instruction(_LOAD_WORD, _MINOR, _CONTEXT, offset=8),
    ]
    for (kind, major, minor), access in allowed.items():
        code += _rule(_KIND.get(kind), major, minor, access)
    code += _return(0)
    return b"".join(code)


def _allowed(rules: Iterable[Mapping[str, Any]]) -> dict[tuple[str, int | None, int | None], int] | None:
    """What may be done with which devices; None: all with all."""
    allowed: dict[tuple[str, int | None, int | None], int] | None = None
    for rule in rules:
        device = (rule.get("type", "a"), rule.get("major"), rule.get("minor"))
        access = sum(_ACCESS[letter] for letter in set(rule.get("access") or "rwm"))
        if device == _ANY and access == _ALL:
            allowed = None if rule["allow"] else {}
        elif not rule["allow"]:
            raise InvalidArgument(f"a device rule that denies less than everything: {dict(rule)}")
        elif allowed is not None and max(rule.get("major", 0), rule.get("minor", 0)) <= _MOST:
            allowed[device] = allowed.get(device, 0) | access
    return allowed


def _rule(kind: int | None, major: int | None, minor: int | None, access: int) -> list[bytes]:
    """Allows, or goes on behind itself."""
    checks = [(_TYPE, kind), (_MAJOR, major), (_MINOR, minor)]
    conditions = [(register, value) for register, value in checks if value is not None]
    code: list[bytes] = []
    left = len(conditions) + (3 if access != _ALL else 0) + 2
    for register, value in conditions:
        left -= 1
        code.append(_instruction(_JUMP_UNEQUAL, register, offset=left, value=value))
    if access != _ALL:
        code += [
            _instruction(_MOVE_REGISTER, _RESULT, _WANTED),
            _instruction(_AND, _RESULT, value=~access),
            _instruction(_JUMP_UNEQUAL, _RESULT, offset=2, value=0),
        ]
    return code + _return(1)


def _return(value: int) -> list[bytes]:
    return [_instruction(_MOVE, _RESULT, value=value), _instruction(_EXIT)]


def _instruction(operation: int, to: int = 0, by: int = 0, offset: int = 0, value: int = 0) -> bytes:
    return struct.pack("=BBhi", operation, by << 4 | to, offset, value)
