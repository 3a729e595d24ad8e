from __future__ import annotations

import pytest

from shared.dockerfile.flags import Flags
from shared.errors import InvalidArgument


def flags(*words: str) -> Flags:
    return Flags(words, texts=("from",), switches=("link",), lists=("mount",)).check()


def test_values() -> None:
    found = flags("--from=a=b", "--link", "--mount=x", "--mount=y", "--", "--nonsense")
    assert (found.text("from"), found.switch("link"), found.list("mount")) == ("a=b", True, ("x", "y"))
    assert (flags().text("from"), flags().switch("link"), flags().list("mount")) == ("", None, ())
    assert flags("--link=FALSE").switch("link") is False


@pytest.mark.parametrize(
    ("word", "why"),
    [
        ("--other=1", "unknown flag: --other"),
        ("--from", "missing a value on flag: --from"),
        ("--link=", "missing a value on flag: --link"),
        ("--link=2", "expecting boolean value for flag --link, not: 2"),
    ],
)
def test_what_is_refused(word: str, why: str) -> None:
    with pytest.raises(InvalidArgument, match=why):
        flags(word)


def test_twice() -> None:
    with pytest.raises(InvalidArgument, match="duplicate flag specified: --from"):
        flags("--from=a", "--from=b")
