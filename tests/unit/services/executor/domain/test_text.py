from __future__ import annotations

import pytest

from services.executor.domain.text import go_duration, parse_bool, parse_size, quote
from shared.errors import InvalidArgument


@pytest.mark.parametrize(
    ("text", "quoted"),
    [("web", '"web"'), ('a"b', '"a\\"b"'), ("a\\b\n", '"a\\\\b\\n"'), ("\x01", '"\\x01"'), ("ü", '"ü"')],
)
def test_quote(text: str, quoted: str) -> None:
    assert quote(text) == quoted


@pytest.mark.parametrize(
    ("text", "value"), [("1", True), ("True", True), ("f", False), ("0", False), ("yes", None), ("", None)]
)
def test_parse_bool(text: str, value: bool | None) -> None:
    assert parse_bool(text) is value


@pytest.mark.parametrize(
    ("text", "base", "size"),
    [
        ("10m", 1000, 10_000_000),
        ("10MiB", 1024, 10 << 20),
        ("1.5k", 1000, 1500),
        ("7", 1000, 7),
        ("2gb", 1024, 2 << 30),
    ],
)
def test_parse_size(text: str, base: int, size: int) -> None:
    assert parse_size(text, base) == size


@pytest.mark.parametrize("text", ["", "m", "-1", "1x", "nan", "1e300", "1 2"])
def test_parse_size_refuses(text: str) -> None:
    with pytest.raises(InvalidArgument, match="invalid size"):
        parse_size(text, 1000)


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "0s"),
        (7, "7ns"),
        (1_500, "1.5µs"),
        (250_000_000, "250ms"),
        (1_000_000_000, "1s"),
        (1_500_000_000, "1.5s"),
        (90_000_000_000, "1m30s"),
        (3_600_000_000_000, "1h0m0s"),
    ],
)
def test_go_duration(nanoseconds: int, text: str) -> None:
    assert go_duration(nanoseconds) == text
