"""The system call filter of a workload (seccomp(2); Docker's profile form in, runtime-spec form out).

The default profile (`seccomp.json`) is Docker's newest: it withholds io_uring, and sockets of the families
AF_ALG and AF_VSOCK, besides all that changes the host.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any, Literal

import msgspec

from shared.errors import InvalidArgument

UNCONFINED = "unconfined"


class _Filter(msgspec.Struct, frozen=True):
    caps: tuple[str, ...] | None = None
    arches: tuple[str, ...] | None = None
    minKernel: str = ""  # noqa: N815 - the profile's own spelling


class _Arg(msgspec.Struct, frozen=True, omit_defaults=True):
    index: int
    value: int
    op: str
    valueTwo: int = 0  # noqa: N815


class _Rule(msgspec.Struct, frozen=True):
    action: str
    names: tuple[str, ...] | None = None
    name: str = ""
    errnoRet: int | None = None  # noqa: N815
    args: tuple[_Arg, ...] | None = None
    includes: _Filter | None = None
    excludes: _Filter | None = None


class _Arch(msgspec.Struct, frozen=True):
    architecture: str
    subArchitectures: tuple[str, ...] | None = None  # noqa: N815


class Profile(msgspec.Struct, frozen=True):
    """A seccomp profile as Docker users write it."""

    defaultAction: str  # noqa: N815
    defaultErrnoRet: int | None = None  # noqa: N815
    architectures: tuple[str, ...] | None = None
    archMap: tuple[_Arch, ...] | None = None  # noqa: N815
    flags: tuple[str, ...] | None = None
    listenerPath: str = ""  # noqa: N815
    listenerMetadata: str = ""  # noqa: N815
    syscalls: tuple[_Rule, ...] | None = None


_NATIVE: dict[str, str] = {
    "amd64": "SCMP_ARCH_X86_64",
    "386": "SCMP_ARCH_X86",
    "arm64": "SCMP_ARCH_AARCH64",
    "arm": "SCMP_ARCH_ARM",
    "ppc64le": "SCMP_ARCH_PPC64LE",
    "s390x": "SCMP_ARCH_S390X",
    "riscv64": "SCMP_ARCH_RISCV64",
    "loong64": "SCMP_ARCH_LOONGARCH64",
    "mips64": "SCMP_ARCH_MIPS64",
    "mips64le": "SCMP_ARCH_MIPSEL64",
}
Match = Literal["includes", "excludes"]


@cache
def default_profile() -> Profile:
    """Docker's."""
    return parse((files(__package__) / "seccomp.json").read_text())


def parse(text: str) -> Profile:
    """A profile from JSON; `InvalidArgument` in Docker's words when it is none."""
    try:
        profile = msgspec.json.decode(text, type=Profile)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise InvalidArgument(f"Decoding seccomp profile failed: {error}") from None
    if profile.architectures and profile.archMap:
        raise InvalidArgument("both 'architectures' and 'archMap' are specified in the seccomp profile, use either")
    for rule in profile.syscalls or ():
        if rule.name and rule.names:
            raise InvalidArgument("both 'name' and 'names' are specified in the seccomp profile, use either")
    return profile


def resolve(
    profile: Profile, capabilities: tuple[str, ...], architecture: str, kernel: tuple[int, int]
) -> dict[str, Any]:
    """`linux.seccomp` for a process with these capabilities: only the rules that apply to it and to this host."""
    held = frozenset(capabilities)
    rules = [_rule(rule) for rule in profile.syscalls or () if _applies(rule, held, architecture, kernel)]
    answer: dict[str, Any] = {"defaultAction": profile.defaultAction, "syscalls": rules}
    if architectures := _architectures(profile, architecture):
        answer["architectures"] = architectures
    for name in ("defaultErrnoRet", "flags", "listenerPath", "listenerMetadata"):
        if value := getattr(profile, name):
            answer[name] = value
    return answer


def _architectures(profile: Profile, architecture: str) -> list[str]:
    if profile.architectures:
        return list(profile.architectures)
    native = _NATIVE.get(architecture, "")
    for entry in profile.archMap or ():
        if entry.architecture == native:
            return [native, *(entry.subArchitectures or ())]
    return []


def _applies(rule: _Rule, capabilities: frozenset[str], architecture: str, kernel: tuple[int, int]) -> bool:
    wanted, unwanted = rule.includes or _Filter(), rule.excludes or _Filter()
    if wanted.arches and architecture not in wanted.arches:
        return False
    if wanted.caps and not capabilities.issuperset(wanted.caps):
        return False
    if wanted.minKernel and kernel < _version(wanted.minKernel):
        return False
    if unwanted.arches and architecture in unwanted.arches:
        return False
    if unwanted.caps and not capabilities.isdisjoint(unwanted.caps):
        return False
    return not (unwanted.minKernel and kernel >= _version(unwanted.minKernel))


def _version(text: str) -> tuple[int, int]:
    major, _, minor = text.partition(".")
    if not (major.isdigit() and minor.isdigit()):
        raise InvalidArgument(f"seccomp profile: invalid minKernel: {text!r}")
    return int(major), int(minor)


def _rule(rule: _Rule) -> dict[str, Any]:
    answer: dict[str, Any] = {"names": list(rule.names or (rule.name,)), "action": rule.action}
    if rule.errnoRet is not None:
        answer["errnoRet"] = rule.errnoRet
    if rule.args:
        answer["args"] = [msgspec.to_builtins(argument) for argument in rule.args]
    return answer
