"""Log drivers and their options."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import urlsplit

from shared.contracts.container import LogConfig
from shared.errors import InvalidArgument

from ..text import parse_bool, parse_size, quote

_FILES = frozenset({"max-file", "max-size", "compress"})
_ATTRIBUTES = frozenset({"labels", "labels-regex", "env", "env-regex", "tag"})
_SYSLOG = frozenset(
    {
        *("syslog-address", "syslog-facility", "syslog-format", "syslog-tls-ca-cert", "syslog-tls-cert"),
        *("syslog-tls-key", "syslog-tls-skip-verify"),
    }
)
_OPTIONS = {
    "json-file": _FILES | _ATTRIBUTES,
    "local": _FILES | _ATTRIBUTES,
    "syslog": _SYSLOG | _ATTRIBUTES,
    "journald": _ATTRIBUTES,
}
DRIVERS = (*_OPTIONS, "none")
_COMMON = frozenset({"mode", "max-buffer-size", "cache-disabled", *(f"cache-{name}" for name in _FILES | _ATTRIBUTES)})
_NAMED = ("kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp")
FACILITIES = {
    **{name: number for number, name in enumerate(_NAMED)},
    **{f"local{number}": 16 + number for number in range(8)},
}
FORMATS = ("", "rfc3164", "rfc5424", "rfc5424micro")
SYSLOG_PORT = 514


def checked_log_config(config: LogConfig, exists: Callable[[str], bool] = lambda path: True) -> LogConfig:
    """With the driver filled in; raises `InvalidArgument`. `exists` answers whether a path of the host is there."""
    driver, options = config.type or "json-file", config.config
    if driver == "none":
        return LogConfig(type=driver, config=options)
    _check_common(options)
    if driver not in DRIVERS:
        raise InvalidArgument(f"error looking up logging plugin {driver}: plugin {quote(driver)} not found")
    for key in options:
        if key not in _OPTIONS[driver] | _COMMON:
            name = "log driver local" if driver == "local" else f"{driver} log driver"
            raise InvalidArgument(f"unknown log opt '{key}' for {name}")
    if driver == "json-file":
        _check_json_file(options)
    elif driver == "local":
        _check_local(options, "")
    else:
        _check_local(options, "cache-")
    if driver == "syslog":
        syslog_address(options.get("syslog-address", ""), exists)
        syslog_facility(options.get("syslog-facility", ""))
        if options.get("syslog-format", "") not in FORMATS:
            raise InvalidArgument("Invalid syslog format")
    return LogConfig(type=driver, config=options)


def _check_common(options: dict[str, str]) -> None:
    if options.get("mode", "") not in ("", "blocking", "non-blocking"):
        raise InvalidArgument(f"logger: logging mode not supported: {options['mode']}")
    if "max-buffer-size" in options:
        if options.get("mode") != "non-blocking":
            raise InvalidArgument("logger: max-buffer-size option is only supported with 'mode=non-blocking'")
        parse_size(options["max-buffer-size"], 1024)
    disabled = options.get("cache-disabled")
    if disabled and parse_bool(disabled) is None:
        raise InvalidArgument(f"invalid value for option cache-disabled: {disabled}")


def _check_json_file(options: dict[str, str]) -> None:
    """dockerd finds these only when the container starts; said at once they cost nobody a container."""
    try:
        _check_rotation(options)
    except InvalidArgument as error:
        raise InvalidArgument(f"failed to initialize logging driver: {error.message}") from None


def _check_rotation(options: dict[str, str]) -> None:
    size = options.get("max-size")
    if size is not None and parse_size(size, 1000) <= 0:
        raise InvalidArgument("max-size must be a positive number")
    count = _count(options.get("max-file", "1"), "")
    if count < 1:
        raise InvalidArgument("max-file cannot be less than 1")
    if _compress(options, "compress", "", default=False) and (count == 1 or size is None):
        raise InvalidArgument("compress cannot be true when max-file is less than 2 or max-size is not set")


def _check_local(options: dict[str, str], prefix: str) -> None:
    if f"{prefix}max-size" in options:
        parse_size(options[f"{prefix}max-size"], 1000)
    count = options.get(f"{prefix}max-file", "5")
    number = _count(count, f"invalid value for max-file: {count}: ")
    if number < 0:
        raise InvalidArgument("max-file must not be negative")
    if _compress(options, f"{prefix}compress", "invalid boolean value for compress: ", default=True) and number <= 1:
        raise InvalidArgument("compression cannot be enabled when max file count is 1")


def _count(text: str, begin: str) -> int:
    if not re.fullmatch(r"-?[0-9]{1,6}", text):
        raise InvalidArgument(f'{begin}strconv.Atoi: parsing "{text}": invalid syntax')
    return int(text)


def _compress(options: dict[str, str], name: str, begin: str, *, default: bool) -> bool:
    if name not in options:
        return default
    value = parse_bool(options[name])
    if value is None:
        raise InvalidArgument(f'{begin}strconv.ParseBool: parsing "{options[name]}": invalid syntax')
    return value


def syslog_address(text: str, exists: Callable[[str], bool] = lambda path: True) -> tuple[str, str]:
    """Transport (`unix`, `unixgram`, `udp`, `tcp`, `tcp+tls`) and path or host:port; both empty: the host's own."""
    if not text:
        return "", ""
    try:
        parts = urlsplit(text)
        port = parts.port or SYSLOG_PORT
    except ValueError as error:
        raise InvalidArgument(f'parse "{text}": {error}') from None
    if parts.scheme in ("unix", "unixgram"):
        if not exists(parts.path):
            raise InvalidArgument(f"stat {parts.path}: no such file or directory")
        return parts.scheme, parts.path
    if parts.scheme not in ("udp", "tcp", "tcp+tls"):
        raise InvalidArgument(f"unsupported scheme: '{parts.scheme}'")
    host = parts.hostname or ""
    return parts.scheme, f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def syslog_facility(text: str) -> int:
    """By name or number; `daemon` when none is given."""
    if not text:
        return FACILITIES["daemon"]
    if text in FACILITIES:
        return FACILITIES[text]
    if re.fullmatch(r"[0-9]{1,2}", text) and int(text) <= 23:
        return int(text)
    raise InvalidArgument("invalid syslog facility")
