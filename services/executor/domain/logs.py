"""What a container's log options mean: how much is kept, what goes with each line (Docker's `daemon/logger`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from shared.contracts.container import ContainerSpec, LogConfig
from shared.contracts.platform import LogSink
from shared.errors import InvalidArgument
from shared.ids import SHORT
from shared.patterns import found

from . import templates
from .template_values import TemplateError, Value
from .text import SECOND, parse_bool, parse_size
from .validation.logs import syslog_address, syslog_facility

LOCAL_SIZE, LOCAL_FILES = 20 << 20, 5
"""Bytes and files that the driver `local` keeps unless told otherwise; the cache of drivers that cannot read too."""


def bound(asked: LogConfig) -> int:
    """Bytes of the log that are kept and shown at least, from its end; 0: all of it."""
    if asked.type == "json-file":
        size, count = _size(asked.config.get("max-size", "")), int(asked.config.get("max-file", "1"))
        return size * count
    prefix = "" if asked.type == "local" else "cache-"
    text = asked.config.get(f"{prefix}max-size")
    return (LOCAL_SIZE if text is None else _size(text)) * int(asked.config.get(f"{prefix}max-file", LOCAL_FILES))


def _size(text: str) -> int:
    return parse_size(text, 1000) if text else 0


def compressed(asked: LogConfig) -> bool:
    """Whether the part of the log that is not written to any more is packed."""
    if asked.type == "json-file":
        return bool(parse_bool(asked.config.get("compress", "false")))
    text = asked.config.get("compress" if asked.type == "local" else "cache-compress", "true")
    return bool(parse_bool(text)) and bound(asked) > 0


def readable(asked: LogConfig) -> bool:
    """Whether `docker logs` can show it: syslog keeps a cache for that unless told not to."""
    cached = asked.type != "syslog" or not parse_bool(asked.config.get("cache-disabled", "false"))
    return asked.type != "none" and cached


def attributes(spec: ContainerSpec, host: str) -> dict[str, str]:
    """Labels and variables that go with each line, and the tag where one was asked for."""
    asked = spec.host_config.log_config.config.get("tag")
    written = tag(spec, host) if asked else ""
    return _extra(spec) | ({"tag": written} if written else {})


def _extra(spec: ContainerSpec) -> dict[str, str]:
    """The labels and variables that were asked for."""
    options = spec.host_config.log_config.config
    return {
        **_chosen(options.get("labels", ""), options.get("labels-regex", ""), spec.config.labels),
        **_chosen(options.get("env", ""), options.get("env-regex", ""), _variables(spec)),
    }


def _variables(spec: ContainerSpec) -> dict[str, str]:
    pairs = (variable.partition("=") for variable in spec.config.env)
    return {name: value for name, equals, value in pairs if equals}


def _chosen(names: str, pattern: str, values: Mapping[str, str]) -> dict[str, str]:
    wanted = names.split(",")
    return {key: value for key, value in values.items() if key in wanted or (pattern and found(pattern, key))}


def sink(spec: ContainerSpec, host: str) -> LogSink | None:
    """Where the lines go besides the host's own file of them; None for drivers that are that file.

    Raises `InvalidArgument` for a tag that is no template.
    """
    asked = spec.host_config.log_config
    options = asked.config
    if asked.type == "syslog":
        transport, address = syslog_address(options.get("syslog-address", ""))
        return LogSink(
            driver="syslog",
            tag=tag(spec, host),
            transport=transport,
            address=address,
            facility=syslog_facility(options.get("syslog-facility", "")),
            form=options.get("syslog-format", ""),
            tls_ca=options.get("syslog-tls-ca-cert", ""),
            tls_cert=options.get("syslog-tls-cert", ""),
            tls_key=options.get("syslog-tls-key", ""),
            tls_skip_verify="syslog-tls-skip-verify" in options,
        )
    if asked.type == "journald":
        return LogSink(driver="journald", tag=tag(spec, host), fields=_journal_fields(spec, host))
    if asked.type != "none":
        tag(spec, host)  # one that cannot be written is told at the start, as by all drivers
    return None


def _journal_fields(spec: ContainerSpec, host: str) -> dict[str, str]:
    own = {
        "CONTAINER_ID": spec.id[:SHORT],
        "CONTAINER_ID_FULL": spec.id,
        "CONTAINER_NAME": spec.name,
        "CONTAINER_TAG": tag(spec, host),
        "IMAGE_NAME": spec.config.image,
        "SYSLOG_IDENTIFIER": tag(spec, host),
    }
    named = {key: value for key, value in attributes(spec, host).items() if key != "tag"}
    return own | {name: value for key, value in named.items() if (name := journal_name(key))}


def journal_name(key: str) -> str:
    """A field name that the journal takes: capitals, digits and `_`, which does not come first."""
    upper = "".join(c.upper() if c.isascii() and c.isalnum() else "_" for c in key)
    return upper.lstrip("_")


def tag(spec: ContainerSpec, host: str) -> str:
    """The option `tag`, by default the short id: text with `{{.Name}}` and the like in it (Go templates).

    `host`: the name of this host, for `{{.Hostname}}`. Raises `InvalidArgument`.
    """
    template = spec.host_config.log_config.config.get("tag") or "{{.ID}}"
    try:
        return templates.render(template, "log-tag", _values(spec, host), "*logger.Info")
    except TemplateError as error:
        raise InvalidArgument(f"failed to initialize logging driver: {error}") from None


def _values(spec: ContainerSpec, host: str) -> dict[str, Value | Callable[..., Value]]:
    return {
        "ID": spec.id[:SHORT],
        "FullID": spec.id,
        "ContainerID": spec.id,
        "Name": spec.name,
        "ContainerName": f"/{spec.name}",
        "Command": " ".join((spec.path, *spec.args)),
        "ContainerEntrypoint": spec.path,
        "ContainerArgs": list(spec.args),
        "ContainerCreated": _go_time(spec.created),
        "ContainerEnv": list(spec.config.env),
        "ContainerLabels": spec.config.labels,
        "Config": spec.host_config.log_config.config,
        "ExtraAttributes": lambda key_mapping: _extra(spec),
        "ImageID": spec.image_id[:SHORT],
        "ImageFullID": spec.image_id,
        "ContainerImageID": spec.image_id,
        "ImageName": spec.config.image,
        "ContainerImageName": spec.config.image,
        "Hostname": host,
        "DaemonName": "docker",
        "LogPath": "",  # only the platform knows
    }


def _go_time(nanoseconds: int) -> str:
    """As Go prints it: `2026-01-02 03:04:05.123456789 +0000 UTC`."""
    seconds, part = divmod(nanoseconds, SECOND)
    digits = f"{part:09d}".rstrip("0")
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}{'.' if digits else ''}{digits} +0000 UTC"
