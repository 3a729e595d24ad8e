"""`--change` of import and commit: Dockerfile lines that alter an image's configuration."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterable

import msgspec

from shared import signals
from shared.contracts.container import ContainerConfig, Healthcheck
from shared.dockerfile.line import json_list
from shared.durations import duration
from shared.errors import InvalidArgument

from .words import expand, expand_words, split

_PORT = re.compile(r"(?P<first>\d{1,5})(?:-(?P<last>\d{1,5}))?(?:/(?P<protocol>[A-Za-z]+))?\Z")
_SHORTEST = 1_000_000
_FLAGS = {
    "--interval": "interval",
    "--timeout": "timeout",
    "--start-period": "start_period",
    "--start-interval": "start_interval",
}


def apply(config: ContainerConfig, changes: Iterable[str]) -> ContainerConfig:
    """The configuration after the lines; raises `InvalidArgument` saying which is wrong and why."""
    commanded = False
    for line in _lines(changes):
        command, _, rest = line.partition(" ")
        change = _CHANGES.get(command.upper())
        if change is None:
            raise InvalidArgument(f"{command} is not a valid change command")
        rest = rest.strip()
        if not rest and command.upper() not in ("CMD", "ENTRYPOINT"):
            number = "exactly" if command.upper() in ("USER", "STOPSIGNAL", "WORKDIR") else "at least"
            raise InvalidArgument(f"{command.upper()} requires {number} one argument")
        config = change(config, rest)
        commanded = commanded or (command.upper() == "CMD" and rest != "" and config.cmd != ())
        if command.upper() == "ENTRYPOINT" and not commanded:
            config = msgspec.structs.replace(config, cmd=None)  # it was meant for the former entrypoint
    return config


def _lines(changes: Iterable[str]) -> Iterable[str]:
    """Logical lines: comments left out, continued ones joined."""
    joined = ""
    for line in "\n".join(changes).splitlines():
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        joined += stripped.replace("\t", " ")
        if joined.endswith("\\"):
            joined = joined[:-1]
            continue
        yield joined
        joined = ""
    if joined:
        yield joined


def _variables(config: ContainerConfig) -> dict[str, str]:
    return dict(each.partition("=")[::2] for each in config.env)


def _command(config: ContainerConfig, text: str) -> tuple[str, ...]:
    exact = json_list(text)
    return exact if exact is not None else (*(config.shell or ("/bin/sh", "-c")), *([text] if text else ()))


def _cmd(config: ContainerConfig, text: str) -> ContainerConfig:
    return msgspec.structs.replace(config, cmd=_command(config, text))


def _entrypoint(config: ContainerConfig, text: str) -> ContainerConfig:
    return msgspec.structs.replace(config, entrypoint=(_command(config, text) or None) if text else None)


def _pairs(config: ContainerConfig, text: str, command: str) -> list[tuple[str, str]]:
    """`name=value ...`, or the old `name value`."""
    variables = _variables(config)
    words = split(text)
    if "=" not in words[0]:
        name, blank, value = text.partition(" ")
        if not blank:
            raise InvalidArgument(f"{command} must have two arguments")
        return [(expand(name, variables), expand(value.strip(), variables))]
    found = []
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            raise InvalidArgument(f'Syntax error - can\'t find = in "{word}". Must be of the form: name=value')
        if not name:
            raise InvalidArgument(f"{command} names can not be blank")
        found.append((expand(name, variables), expand(value, variables)))
    return found


def _env(config: ContainerConfig, text: str) -> ContainerConfig:
    env = list(config.env)
    for name, value in _pairs(config, text, "ENV"):
        places = [index for index, each in enumerate(env) if each.partition("=")[0] == name]
        if places:
            env[places[0]] = f"{name}={value}"
        else:
            env.append(f"{name}={value}")
    return msgspec.structs.replace(config, env=tuple(env))


def _label(config: ContainerConfig, text: str) -> ContainerConfig:
    return msgspec.structs.replace(config, labels={**config.labels, **dict(_pairs(config, text, "LABEL"))})


def _expose(config: ContainerConfig, text: str) -> ContainerConfig:
    ports = dict(config.exposed_ports or {})
    for word in expand_words(text, _variables(config)):
        for port in ports_of(word):
            ports[port] = {}
    return msgspec.structs.replace(config, exposed_ports=ports)


def ports_of(text: str) -> list[str]:
    """`8000-8002/udp` as single ports; raises `InvalidArgument`."""
    match = _PORT.match(text)
    first = int(match["first"]) if match else 0
    last = int(match["last"] or first) if match else 0
    protocol = (match["protocol"] or "tcp").lower() if match else ""
    if match is None or not 0 < first <= last <= 65535:
        raise InvalidArgument(f"invalid containerPort: {text}")
    if protocol not in ("tcp", "udp", "sctp"):
        raise InvalidArgument(f"invalid proto: {protocol}")
    return [f"{port}/{protocol}" for port in range(first, last + 1)]


def _user(config: ContainerConfig, text: str) -> ContainerConfig:
    if len(split(text)) != 1:
        raise InvalidArgument("USER requires exactly one argument")
    return msgspec.structs.replace(config, user=expand(text, _variables(config)))


def _volume(config: ContainerConfig, text: str) -> ContainerConfig:
    paths = json_list(text)
    if paths is None:
        paths = tuple(expand_words(text, _variables(config)))
    if not all(path.strip() for path in paths):
        raise InvalidArgument("VOLUME specified can not be an empty string")
    return msgspec.structs.replace(config, volumes={**(config.volumes or {}), **{path.strip(): {} for path in paths}})


def _workdir(config: ContainerConfig, text: str) -> ContainerConfig:
    path = posixpath.join("/", config.working_dir, expand(text, _variables(config)))
    return msgspec.structs.replace(config, working_dir="/" + posixpath.normpath(path).lstrip("/"))


def _stop_signal(config: ContainerConfig, text: str) -> ContainerConfig:
    if len(split(text)) != 1:
        raise InvalidArgument("STOPSIGNAL requires exactly one argument")
    signal = expand(text, _variables(config))
    signals.parse(signal)
    return msgspec.structs.replace(config, stop_signal=signal)


def _on_build(config: ContainerConfig, text: str) -> ContainerConfig:
    trigger = text.split(maxsplit=1)[0].upper()
    if trigger == "ONBUILD":
        raise InvalidArgument("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed")
    if trigger in ("MAINTAINER", "FROM"):
        raise InvalidArgument(f"{trigger} isn't allowed as an ONBUILD trigger")
    return msgspec.structs.replace(config, on_build=(*(config.on_build or ()), text))


def _healthcheck(config: ContainerConfig, text: str) -> ContainerConfig:
    values: dict[str, int] = {}
    while text.startswith("--"):
        flag, _, text = text.partition(" ")
        name, _, value = flag.partition("=")
        values |= _flag(name, value)
        text = text.strip()
    kind, _, command = text.partition(" ")
    return msgspec.structs.replace(
        config, healthcheck=Healthcheck(test=_test(config, kind.upper(), command.strip()), **values)
    )


def _test(config: ContainerConfig, kind: str, command: str) -> tuple[str, ...]:
    if kind == "NONE":
        if command:
            raise InvalidArgument("HEALTHCHECK NONE takes no arguments")
        return ("NONE",)
    if kind != "CMD":
        raise InvalidArgument(f'Unknown type "{kind}" in HEALTHCHECK (try CMD)')
    if not command:
        raise InvalidArgument("Missing command after HEALTHCHECK CMD")
    exact = json_list(command)
    return ("CMD", *exact) if exact is not None else ("CMD-SHELL", command)


def _flag(name: str, value: str) -> dict[str, int]:
    if name == "--retries":
        if not value.isdigit() or len(value) > 9:
            raise InvalidArgument(f"--retries must be a number (not {value[:30]!r})")
        return {"retries": int(value)}
    if name not in _FLAGS:
        raise InvalidArgument(f"unknown flag: {name}")
    length = duration(value)
    if length is None:
        what = "missing unit in" if value.isdigit() else "invalid"
        raise InvalidArgument(f'time: {what} duration "{value[:30]}"')
    if 0 < length < _SHORTEST:
        raise InvalidArgument(f'Interval "{name.removeprefix("--")}" cannot be less than 1ms')
    return {_FLAGS[name]: length}


_CHANGES: dict[str, Callable[[ContainerConfig, str], ContainerConfig]] = {
    "CMD": _cmd,
    "ENTRYPOINT": _entrypoint,
    "ENV": _env,
    "EXPOSE": _expose,
    "HEALTHCHECK": _healthcheck,
    "LABEL": _label,
    "ONBUILD": _on_build,
    "STOPSIGNAL": _stop_signal,
    "USER": _user,
    "VOLUME": _volume,
    "WORKDIR": _workdir,
}
