from __future__ import annotations

import pytest

from services.executor.domain.validation.logs import checked_log_config, log_bytes
from shared.contracts.container import LogConfig
from shared.errors import InvalidArgument


@pytest.mark.parametrize(
    ("driver", "options", "text"),
    [
        ("fish", {}, "logger: no log driver named 'fish' is registered"),
        ("json-file", {"fish": "1"}, "unknown log opt 'fish' for json-file log driver"),
        ("local", {"tag": "1"}, "unknown log opt 'tag' for local log driver"),
        ("json-file", {"mode": "fast"}, "logger: logging mode not supported: fast"),
        (
            "json-file",
            {"max-buffer-size": "1m"},
            "logger: max-buffer-size option is only supported with 'mode=non-blocking'",
        ),
        ("json-file", {"max-size": "0"}, "max-size must be a positive number"),
        ("json-file", {"max-size": "x"}, "invalid size: 'x'"),
        ("json-file", {"max-file": "x"}, 'strconv.Atoi: parsing "x": invalid syntax'),
        ("json-file", {"max-file": "0"}, "max-file cannot be less than 1"),
        ("json-file", {"compress": "x"}, 'strconv.ParseBool: parsing "x": invalid syntax'),
        (
            "json-file",
            {"compress": "true"},
            "compress cannot be true when max-file is less than 2 or max-size is not set",
        ),
    ],
)
def test_refused_in_dockers_words(driver: str, options: dict[str, str], text: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        checked_log_config(LogConfig(type=driver, config=options))
    assert caught.value.message == text


def test_usable() -> None:
    assert checked_log_config(LogConfig(type="")).type == "json-file"
    options = {"max-size": "10m", "max-file": "3", "compress": "true", "mode": "non-blocking", "max-buffer-size": "1m"}
    assert checked_log_config(LogConfig(type="local", config=options)).config == options
    assert checked_log_config(LogConfig(type="none", config={"any": "thing"})).type == "none"


@pytest.mark.parametrize(
    ("options", "most"),
    [({}, 0), ({"max-file": "3"}, 0), ({"max-size": "10k"}, 10_000), ({"max-size": "1m", "max-file": "3"}, 3_000_000)],
)
def test_the_bound_is_that_of_all_files_together(options: dict[str, str], most: int) -> None:
    assert log_bytes(LogConfig(config=options)) == most
