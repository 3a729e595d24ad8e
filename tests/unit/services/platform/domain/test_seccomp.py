"""The system call filter: the default withholds what it must, profiles of users are taken in Docker's form."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.platform.domain import seccomp
from services.platform.domain.capabilities import DEFAULT, KNOWN
from shared.errors import InvalidArgument

KERNEL = (6, 12)


def default(capabilities: tuple[str, ...] = DEFAULT, architecture: str = "amd64") -> dict[str, Any]:
    return seccomp.resolve(seccomp.default_profile(), capabilities, architecture, KERNEL)


def allowed(profile: dict[str, Any]) -> set[str]:
    return {name for rule in profile["syscalls"] if rule["action"] == "SCMP_ACT_ALLOW" for name in rule["names"]}


def test_what_changes_the_host_is_withheld() -> None:
    withheld = {
        "mount",
        "umount2",
        "unshare",
        "setns",
        "bpf",
        "reboot",
        "init_module",
        "kexec_load",
        "keyctl",
        "add_key",
    }
    assert withheld.isdisjoint(allowed(default()))
    assert default()["defaultAction"] == "SCMP_ACT_ERRNO"


@given(st.sets(st.sampled_from(KNOWN)))
def test_io_uring_is_withheld_from_everybody(capabilities: set[str]) -> None:
    assert not any(name.startswith("io_uring") for name in allowed(default(tuple(capabilities))))


def test_sockets_to_the_kernels_crypto_and_to_the_hypervisor_are_withheld() -> None:
    rules = [rule["args"][0] for rule in default()["syscalls"] if "socket" in rule["names"]]

    def passes(family: int) -> bool:
        compare = {"SCMP_CMP_LT": int.__lt__, "SCMP_CMP_EQ": int.__eq__, "SCMP_CMP_GT": int.__gt__}
        return any(compare[rule["op"]](family, rule["value"]) for rule in rules)

    assert [family for family in range(46) if not passes(family)] == [38, 40]


def test_capabilities_open_their_calls() -> None:
    assert {"mount", "unshare", "clone3"} <= allowed(default((*DEFAULT, "CAP_SYS_ADMIN")))
    assert "ptrace" in allowed(default())
    assert "chroot" not in allowed(default(()))


def test_clone_may_not_make_namespaces() -> None:
    (rule,) = (rule for rule in default()["syscalls"] if rule["names"] == ["clone"])
    assert rule["args"] == [{"index": 0, "value": 2114060288, "op": "SCMP_CMP_MASKED_EQ"}]


def test_architectures_bring_their_own_calls() -> None:
    assert default()["architectures"] == ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"]
    assert "arch_prctl" in allowed(default())
    assert default(architecture="arm64")["architectures"] == ["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"]
    assert "arch_prctl" not in allowed(default(architecture="arm64"))


def test_a_users_profile_is_taken_over() -> None:
    text = json.dumps(
        {
            "defaultAction": "SCMP_ACT_ALLOW",
            "architectures": ["SCMP_ARCH_X86_64"],
            "flags": ["SECCOMP_FILTER_FLAG_LOG"],
            "syscalls": [
                {
                    "name": "mkdir",
                    "action": "SCMP_ACT_ERRNO",
                    "errnoRet": 13,
                    "args": [{"index": 1, "value": 5, "op": "X"}],
                },
                {"names": ["old"], "action": "SCMP_ACT_ERRNO", "includes": {"minKernel": "99.0"}},
                {"names": ["new"], "action": "SCMP_ACT_ERRNO", "excludes": {"minKernel": "4.8"}},
            ],
        }
    )
    assert seccomp.resolve(seccomp.parse(text), (), "amd64", KERNEL) == {
        "defaultAction": "SCMP_ACT_ALLOW",
        "architectures": ["SCMP_ARCH_X86_64"],
        "flags": ("SECCOMP_FILTER_FLAG_LOG",),
        "syscalls": [
            {
                "names": ["mkdir"],
                "action": "SCMP_ACT_ERRNO",
                "errnoRet": 13,
                "args": [{"index": 1, "value": 5, "op": "X"}],
            }
        ],
    }


@pytest.mark.parametrize(
    "text",
    [
        "notjson",
        "{}",
        '{"defaultAction": 5}',
        '{"defaultAction": "x", "architectures": ["a"], "archMap": [{"architecture": "b"}]}',
        '{"defaultAction": "x", "syscalls": [{"action": "y", "name": "a", "names": ["b"]}]}',
    ],
)
def test_what_is_no_profile_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument):
        seccomp.parse(text)


def test_a_kernel_version_that_is_none_is_refused() -> None:
    text = '{"defaultAction": "x", "syscalls": [{"action": "y", "name": "a", "includes": {"minKernel": "new"}}]}'
    with pytest.raises(InvalidArgument, match="minKernel"):
        seccomp.resolve(seccomp.parse(text), (), "amd64", KERNEL)
