from __future__ import annotations

import pytest

from shared.patterns import MAX_PATTERN, found


@pytest.mark.parametrize(
    ("pattern", "value", "matches"),
    [
        ("^com\\.", "com.docker", True),
        ("^com\\.", "a.com.docker", False),
        ("(a|b)$", "xb", True),
        ("(", "a(b", False),
        ("(a+)+$", "a" * 50 + "!", False),
        ("(a+)+$", "x(a+)+$", True),
        ("a" * (MAX_PATTERN + 1), "a" * 500, True),
    ],
)
def test_found(pattern: str, value: str, matches: bool) -> None:
    assert found(pattern, value) is matches
