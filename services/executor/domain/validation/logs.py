"""Log drivers and their options."""

from __future__ import annotations

import re

from shared.contracts.container import LogConfig
from shared.errors import InvalidArgument

from ..text import parse_bool, parse_size

DRIVERS = ("json-file", "local", "none")
_FILES = frozenset({"max-file", "max-size", "compress"})
_OPTIONS = {
    "json-file": _FILES | {"labels", "labels-regex", "env", "env-regex", "tag"},
    "local": _FILES,
}
_COMMON = frozenset({"mode", "max-buffer-size"})


def checked_log_config(config: LogConfig) -> LogConfig:
    """With the driver filled in; raises `InvalidArgument`."""
    driver = config.type or "json-file"
    if driver == "none":
        return LogConfig(type=driver, config=config.config)
    options = config.config
    if options.get("mode", "") not in ("", "blocking", "non-blocking"):
        raise InvalidArgument(f"logger: logging mode not supported: {options['mode']}")
    if "max-buffer-size" in options:
        if options.get("mode") != "non-blocking":
            raise InvalidArgument("logger: max-buffer-size option is only supported with 'mode=non-blocking'")
        parse_size(options["max-buffer-size"], 1024)
    if driver not in DRIVERS:
        raise InvalidArgument(f"logger: no log driver named '{driver}' is registered")
    for key in options:
        if key not in _OPTIONS[driver] | _COMMON:
            raise InvalidArgument(f"unknown log opt '{key}' for {driver} log driver")
    _check_files(options)
    return LogConfig(type=driver, config=options)


def _check_files(options: dict[str, str]) -> None:
    """dockerd finds these only when the container starts; said at once they cost nobody a container."""
    size = options.get("max-size")
    if size is not None and parse_size(size, 1000) <= 0:
        raise InvalidArgument("max-size must be a positive number")
    count = options.get("max-file", "1")
    if not re.fullmatch(r"-?[0-9]{1,6}", count):
        raise InvalidArgument(f'strconv.Atoi: parsing "{count}": invalid syntax')
    if int(count) < 1:
        raise InvalidArgument("max-file cannot be less than 1")
    if "compress" in options:
        compress = parse_bool(options["compress"])
        if compress is None:
            raise InvalidArgument(f'strconv.ParseBool: parsing "{options["compress"]}": invalid syntax')
        if compress and (int(count) == 1 or size is None):
            raise InvalidArgument("compress cannot be true when max-file is less than 2 or max-size is not set")


def log_bytes(asked: LogConfig) -> int:
    """The bound of a container's log: `max-size` for each of `max-file` files; 0 without bound."""
    size = asked.config.get("max-size")
    return parse_size(size, 1000) * int(asked.config.get("max-file", "1")) if size else 0
