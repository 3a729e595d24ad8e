from __future__ import annotations

import pytest

from services.builder.domain.platforms import host_platform, parse_platform
from shared.contracts.common import Platform
from shared.errors import InvalidArgument


@pytest.mark.parametrize(
    ("text", "platform"),
    [("linux/arm64", Platform(architecture="arm64")), ("linux/arm/v7", Platform(architecture="arm", variant="v7")),
     ("arm64", Platform(architecture="arm64")), ("linux", Platform())],
)  # fmt: skip
def test_platforms(text: str, platform: Platform) -> None:
    assert parse_platform(text) == platform


@pytest.mark.parametrize("text", ["a/b/c/d", "a b", ""])
def test_no_platforms(text: str) -> None:
    with pytest.raises(InvalidArgument, match="failed to parse platform"):
        parse_platform(text)


def test_this_machine() -> None:
    assert host_platform().os == "linux"
    assert host_platform().architecture not in ("x86_64", "aarch64")
