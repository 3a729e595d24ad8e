from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.image_store.domain.platform import acceptable, check, choose, describe, matches, normalise, pick
from shared.contracts.common import Platform
from shared.errors import InvalidArgument


def of(text: str) -> Platform:
    os, architecture, variant = (*text.split("/"), "", "")[:3]
    return Platform(os=os, architecture=architecture, variant=variant)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("linux/x86_64", "linux/amd64"),
        ("Linux/AMD64/v1", "linux/amd64"),
        ("linux/aarch64", "linux/arm64"),
        ("linux/arm64/v8", "linux/arm64"),
        ("linux/arm64/8", "linux/arm64"),
        ("linux/arm64/v9.1", "linux/arm64/v9.1"),
        ("linux/armhf", "linux/arm/v7"),
        ("linux/armel", "linux/arm/v6"),
        ("linux/arm", "linux/arm/v7"),
        ("linux/arm/6", "linux/arm/v6"),
        ("linux/i386", "linux/386"),
    ],
)
def test_spellings(written: str, meant: str) -> None:
    assert describe(normalise(of(written))) == meant


@pytest.mark.parametrize(
    ("wanted", "pairs"),
    [
        ("linux/amd64", [("amd64", ""), ("386", "")]),
        ("linux/amd64/v3", [("amd64", "v3"), ("amd64", "v2"), ("amd64", ""), ("386", "")]),
        ("linux/arm/v7", [("arm", "v7"), ("arm", "v6"), ("arm", "v5")]),
        ("linux/arm64", [("arm64", ""), ("arm", "v8"), ("arm", "v7"), ("arm", "v6"), ("arm", "v5")]),
        ("linux/riscv64", [("riscv64", "")]),
    ],
)
def test_what_a_host_runs_best_first(wanted: str, pairs: list[tuple[str, str]]) -> None:
    assert acceptable(of(wanted)) == pairs


def test_armv9_runs_what_v8_5_runs() -> None:
    found = acceptable(of("linux/arm64/v9.1"))
    assert found[:3] == [("arm64", "v9.1"), ("arm64", "v9"), ("arm64", "v8.6")]
    assert ("arm64", "") in found


def test_an_image_that_names_no_variant_is_taken_at_its_word() -> None:
    assert matches(of("linux/arm/v6"), of("linux/arm"))
    assert not matches(of("linux/arm/v6"), of("linux/arm/v7"))
    assert not matches(of("linux/amd64"), of("linux/arm64"))
    assert not matches(of("windows/amd64"), of("linux/amd64"))


def test_the_best_of_several_is_chosen_and_attestations_never() -> None:
    offered = [(of("unknown/unknown"), 0), (of("linux/386"), 1), (of("linux/arm64"), 2), (of("linux/amd64"), 3)]
    assert choose(of("linux/amd64"), offered) == 3
    assert choose(of("linux/amd64"), offered[:2]) == 1
    assert choose(of("linux/s390x"), offered) is None


@pytest.mark.parametrize("text", ["linux/a b", "li*nux/amd64", "linux/amd64/v 1", "linux/"])
def test_parts_no_platform_has(text: str) -> None:
    with pytest.raises(InvalidArgument, match="invalid platform"):
        check(of(text))


@given(st.sampled_from(["amd64", "arm", "arm64", "386", "s390x"]), st.sampled_from(["", "v5", "v7", "v8", "v9.2", "x"]))
def test_every_host_runs_its_own_platform(architecture: str, variant: str) -> None:
    platform = Platform(architecture=architecture, variant=variant)
    assert matches(platform, platform)
    assert normalise(normalise(platform)) == normalise(platform)


SOME = st.builds(
    Platform,
    os=st.sampled_from(["linux", "linux", "windows", "unknown"]),
    architecture=st.sampled_from(["amd64", "arm", "arm64", "386", "s390x", "x86_64", "aarch64", "unknown"]),
    variant=st.sampled_from(["", "", "v5", "v6", "v7", "v8", "v9"]),
)


@given(SOME, st.lists(SOME, max_size=8))
def test_whatever_is_picked_is_what_was_asked_for_and_nothing_that_is_there_is_missed(
    wanted: Platform, offered: list[Platform]
) -> None:
    found = pick(wanted, [(each, position) for position, each in enumerate(offered)])
    assert (found is not None) == any(matches(wanted, each) for each in offered)
    assert found is None or matches(wanted, offered[found])


@given(SOME, st.lists(SOME, min_size=1, max_size=8), st.data())
def test_the_very_platform_goes_before_all_that_would_do(
    wanted: Platform, offered: list[Platform], data: st.DataObject
) -> None:
    shuffled = data.draw(st.permutations([*offered, wanted]))
    found = pick(wanted, [(each, each) for each in shuffled])
    assert found is not None
    assert normalise(found) == normalise(wanted)
