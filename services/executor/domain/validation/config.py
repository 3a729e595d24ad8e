"""The portable part of a container's configuration."""

from __future__ import annotations

import posixpath

import msgspec

from shared import signals
from shared.contracts.container import ContainerConfig, Healthcheck
from shared.errors import InvalidArgument

from ..mounts.parse import path_problem

_MILLISECOND = 1_000_000
MOST_ENVIRONMENT = 4 << 20
"""Bytes of all variables together; the kernel refuses far less when the process is started."""


def check_config(config: ContainerConfig) -> ContainerConfig:
    """The configuration with a clean working directory; raises `InvalidArgument`."""
    working_dir = config.working_dir
    if working_dir:
        if not working_dir.startswith("/"):
            raise InvalidArgument(f"the working directory '{working_dir}' is invalid, it needs to be an absolute path")
        working_dir = clean(working_dir)
    if config.stop_signal:
        signals.parse(config.stop_signal)
    check_environment(config.env)
    _check_healthcheck(config.healthcheck)
    _check_no_nul(config)
    _check_hostname(config.hostname)
    for path in config.volumes or {}:
        _check_volume(path)
    return msgspec.structs.replace(config, working_dir=working_dir)


def clean(path: str) -> str:
    """A path without `.`, `..` and doubled slashes (Go's path.Clean)."""
    cleaned = posixpath.normpath(path)
    return "/" + cleaned.lstrip("/") if cleaned.startswith("//") else cleaned


def check_environment(variables: tuple[str, ...]) -> None:
    """Every variable has a name; all together they are not absurdly large."""
    for variable in variables:
        if not variable.partition("=")[0]:
            raise InvalidArgument(f"invalid environment variable: {variable}")
    if sum(map(len, variables)) > MOST_ENVIRONMENT:
        raise InvalidArgument(f"environment is larger than {MOST_ENVIRONMENT} bytes")


def _check_no_nul(config: ContainerConfig) -> None:
    """The kernel takes no string with a NUL byte in it; said here it is the client's fault."""
    words = (*(config.entrypoint or ()), *(config.cmd or ()), *config.env)
    single = (config.user, config.working_dir, config.hostname, config.domainname)
    if any("\0" in word for word in (*words, *single)):
        raise InvalidArgument("invalid argument: command, environment, user and paths must not contain NUL bytes")


def _check_hostname(name: str) -> None:
    """It becomes a line of files inside; longer than 64 bytes the kernel refuses it (sethostname(2))."""
    if any(character.isspace() or not character.isprintable() or character == "/" for character in name):
        raise InvalidArgument(f"invalid hostname format: {name!r}")


def _check_volume(path: str) -> None:
    """An anonymous volume's place; in the `path[:mode]` form that images may have."""
    if problem := path_problem(path.partition(":")[0]):
        raise InvalidArgument(f"invalid volume specification: '{path}': {problem}")


def _check_healthcheck(check: Healthcheck | None) -> None:
    if check is None:
        return
    for name, value in (("Interval", check.interval), ("Timeout", check.timeout)):
        _check_duration(name, value)
    if check.retries < 0:
        raise InvalidArgument("Retries in Healthcheck cannot be negative")
    for name, value in (("StartPeriod", check.start_period), ("StartInterval", check.start_interval)):
        _check_duration(name, value)


def _check_duration(name: str, value: int) -> None:
    if value and value < _MILLISECOND:
        raise InvalidArgument(f"{name} in Healthcheck cannot be less than 1ms")
