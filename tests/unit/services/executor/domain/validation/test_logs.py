from __future__ import annotations

import pytest

from services.executor.domain.validation.logs import checked_log_config, syslog_address, syslog_facility
from shared.contracts.container import LogConfig
from shared.errors import InvalidArgument


@pytest.mark.parametrize(
    ("driver", "options", "text"),
    [
        ("fish", {}, 'error looking up logging plugin fish: plugin "fish" not found'),
        ("json-file", {"fish": "1"}, "unknown log opt 'fish' for json-file log driver"),
        ("local", {"fish": "1"}, "unknown log opt 'fish' for log driver local"),
        ("journald", {"max-size": "1m"}, "unknown log opt 'max-size' for journald log driver"),
        ("local", {"max-file": "-1"}, "max-file must not be negative"),
        ("local", {"max-file": "1"}, "compression cannot be enabled when max file count is 1"),
        (
            "local",
            {"compress": "x"},
            'invalid boolean value for compress: strconv.ParseBool: parsing "x": invalid syntax',
        ),
        ("json-file", {"mode": "fast"}, "logger: logging mode not supported: fast"),
        (
            "json-file",
            {"max-buffer-size": "1m"},
            "logger: max-buffer-size option is only supported with 'mode=non-blocking'",
        ),
        ("json-file", {"max-size": "0"}, "failed to initialize logging driver: max-size must be a positive number"),
        ("json-file", {"max-size": "x"}, "failed to initialize logging driver: invalid size: 'x'"),
        (
            "json-file",
            {"max-file": "x"},
            'failed to initialize logging driver: strconv.Atoi: parsing "x": invalid syntax',
        ),
        ("json-file", {"max-file": "0"}, "failed to initialize logging driver: max-file cannot be less than 1"),
        (
            "json-file",
            {"compress": "x"},
            'failed to initialize logging driver: strconv.ParseBool: parsing "x": invalid syntax',
        ),
        (
            "json-file",
            {"compress": "true"},
            "failed to initialize logging driver: "
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
    ("text", "address"),
    [
        ("", ("", "")),
        ("udp://1.2.3.4", ("udp", "1.2.3.4:514")),
        ("tcp://log.example:601", ("tcp", "log.example:601")),
        ("tcp+tls://[::1]:6514", ("tcp+tls", "[::1]:6514")),
        ("unixgram:///dev/log", ("unixgram", "/dev/log")),
    ],
)
def test_addresses(text: str, address: tuple[str, str]) -> None:
    assert syslog_address(text) == address


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"syslog-address": "http://x"}, "unsupported scheme: 'http'"),
        ({"syslog-address": "unix:///nope"}, "stat /nope: no such file or directory"),
        ({"syslog-address": "udp://x:y"}, 'parse "udp://x:y": '),
        ({"syslog-facility": "24"}, "invalid syslog facility"),
        ({"syslog-format": "x"}, "Invalid syslog format"),
        ({"max-size": "1m"}, "unknown log opt 'max-size' for syslog log driver"),
        ({"cache-disabled": "x"}, "invalid value for option cache-disabled: x"),
        ({"cache-max-file": "x"}, "invalid value for max-file: x: strconv.Atoi"),
    ],
)
def test_syslog_refuses(options: dict[str, str], text: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        checked_log_config(LogConfig(type="syslog", config=options), lambda path: False)
    assert caught.value.message.startswith(text)


def test_facilities() -> None:
    assert [syslog_facility(text) for text in ("", "kern", "local7", "0", "23")] == [3, 0, 23, 0, 23]
