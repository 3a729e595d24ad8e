from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.platform.domain.emulation import EMULATORS, Emulator, cannot_run, native
from shared.contracts.common import Platform

ANY = st.sampled_from(sorted(EMULATORS))
DEBIANS = {
    "arm64": ("7f454c460201010000000000000000000200b700", "ffffffffffffff00fffffffffffffffffeffffff"),
    "arm": ("7f454c4601010100000000000000000002002800", "ffffffffffffff00fffffffffffffffffeffffff"),
    "s390x": ("7f454c4602020100000000000000000000020016", "ffffffffffffff00fffffffffffffffffffeffff"),
    "riscv64": ("7f454c460201010000000000000000000200f300", "ffffffffffffff00fffffffffffffffffeffffff"),
}


def entry(emulator: Emulator, flags: str = "POCF", state: str = "enabled", offset: int = 0) -> str:
    """The entry as the kernel shows it."""
    return (
        f"{state}\ninterpreter /usr/bin/x\nflags: {flags}\noffset {offset}\n"
        f"magic {emulator.magic.hex()}\nmask {emulator.mask.hex()}\n"
    )


@pytest.mark.parametrize("architecture", DEBIANS)
def test_headers_are_those_of_qemus_own_table(architecture: str) -> None:
    emulator = EMULATORS[architecture]
    assert (emulator.magic.hex(), emulator.mask.hex()) == DEBIANS[architecture]


def test_what_is_registered() -> None:
    line = EMULATORS["arm64"].line("/usr/bin/qemu-aarch64-static")
    assert line.startswith(rb":shoal-aarch64:M::\x7f\x45\x4c\x46\x02\x01\x01\x00")
    assert line.endswith(rb"\xfe\xff\xff\xff:/usr/bin/qemu-aarch64-static:POCF")


@given(ANY, ANY)
def test_an_entry_serves_its_own_architecture_alone(one: str, other: str) -> None:
    assert EMULATORS[one].is_served_by(entry(EMULATORS[other])) == (one == other)


@given(ANY, st.sampled_from(["OC", "P", ""]))
def test_an_entry_without_f_serves_no_container(name: str, flags: str) -> None:
    assert not EMULATORS[name].is_served_by(entry(EMULATORS[name], flags))


def test_an_entry_that_is_off_or_looks_elsewhere() -> None:
    arm = EMULATORS["arm64"]
    assert not arm.is_served_by(entry(arm, state="disabled"))
    assert not arm.is_served_by(entry(arm, offset=4))


def test_an_entry_without_a_mask_counts_in_full() -> None:
    arm = EMULATORS["arm64"]
    text = entry(arm).rpartition("mask")[0]
    assert arm.is_served_by(text)
    assert not EMULATORS["arm"].is_served_by(text)


@given(st.text(max_size=200))
def test_any_text_is_an_answer(text: str) -> None:
    assert not any(each.is_served_by(text) for each in EMULATORS.values())
    for each in EMULATORS.values():
        each.is_served_by(f"enabled\nflags: F\noffset 0\nmagic {text}")


def test_what_hosts_run_by_themselves() -> None:
    assert [each.architecture for each in native("amd64")] == ["amd64", "386"]
    assert [each.architecture for each in native("riscv64")] == ["riscv64"]


def test_what_users_are_told() -> None:
    told = cannot_run(Platform(architecture="arm", variant="v7"), "amd64", "do this")
    assert told == "the image is for linux/arm/v7, which this host (linux/amd64) runs only by emulation: do this"
