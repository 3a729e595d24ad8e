from __future__ import annotations

from email.message import Message

import pytest

from shared.fetch_helper import modified, name_of


def headers(**values: str) -> Message:
    made = Message()
    for name, value in values.items():
        made[name.replace("_", "-")] = value
    return made


@pytest.mark.parametrize(
    ("url", "disposition", "name"),
    [
        ("http://h/a/b%20c?d", "", "b c"),
        ("http://h/", 'attachment; filename="x/../y"', "y"),
        ("http://h", "", ""),
        ("http://h/a/", "attachment; filename=z", "z"),
    ],
)
def test_names(url: str, disposition: str, name: str) -> None:
    assert name_of(url, headers(Content_Disposition=disposition)) == name


def test_times() -> None:
    assert modified(headers(Last_Modified="Thu, 01 Jan 1970 00:00:07 GMT")) == 7
    assert modified(headers()) == 0
