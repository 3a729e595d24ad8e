"""What the instructions that touch no file do to an image's configuration, and what its history says of them."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from shared import signals
from shared.contracts.container import ContainerConfig, Healthcheck
from shared.errors import InvalidArgument

from . import instructions as given
from .text import plain_list, quote, quoted_list

DEFAULT_SHELL = ("/bin/sh", "-c")
_PORT = re.compile(r"(?P<first>[0-9]{1,5})(?:-(?P<last>[0-9]{1,5}))?\Z")
_UNITS = (("h", 3600 * 10**9), ("m", 60 * 10**9))


@dataclass(frozen=True)
class Image:
    """What an instruction may change. `cmd_set`: by this very Dockerfile, so that ENTRYPOINT leaves it."""

    config: ContainerConfig
    author: str = ""
    cmd_set: bool = False

    def with_(self, **changes: Any) -> Image:
        return replace(self, config=msgspec.structs.replace(self.config, **changes))


Changed = tuple[Image, str]
"""The image after an instruction, and the words for it (`ENV a=b`)."""
Split = Callable[[str], list[str]]


def change(image: Image, step: given.Instruction, split: Split) -> Changed | None:
    """None for instructions that are more than metadata; raises `InvalidArgument`. `split`: words, expanded."""
    if isinstance(step, given.Expose):
        return _expose(image, tuple(port for word in step.ports for port in split(word)))
    make = _CHANGES.get(type(step))
    return None if make is None else make(image, step)


def shell_of(config: ContainerConfig) -> tuple[str, ...]:
    """What runs a text."""
    return config.shell or DEFAULT_SHELL


def command_line(config: ContainerConfig, step: given.CommandLine) -> tuple[str, ...]:
    """The words to run: a text is given to the shell."""
    return (*shell_of(config), *step.words) if step.shell and step.words else step.words


def created_by(config: ContainerConfig, words: str, spaced: bool = True) -> str:
    """How a history shows an instruction that runs nothing. (COPY, ADD and WORKDIR have one blank less.)"""
    return " ".join((*shell_of(config), "#(nop) " + (" " if spaced else "") + words))


def set_variables(env: tuple[str, ...], pairs: Mapping[str, str] | tuple[tuple[str, str], ...]) -> tuple[str, ...]:
    """Variables that are there keep their place."""
    values = dict(each.partition("=")[::2] for each in env)
    values.update(pairs)
    return tuple(f"{name}={value}" for name, value in values.items())


def working_dir(current: str, path: str) -> str:
    """An absolute clean path; raises `InvalidArgument`."""
    if not path:
        raise InvalidArgument("cannot normalize nothing")
    return "/" + posixpath.normpath(posixpath.join("/", current, path)).lstrip("/")


def _env(image: Image, step: given.Env) -> Changed:
    said = "ENV" + "".join(f" {name}={value}" for name, value in step.pairs)
    return image.with_(env=set_variables(image.config.env, step.pairs)), said


def _label(image: Image, step: given.Label) -> Changed:
    said = "LABEL" + "".join(f" {name}={value}" for name, value in step.pairs)
    return image.with_(labels={**image.config.labels, **dict(step.pairs)}), said


def _maintainer(image: Image, step: given.Maintainer) -> Changed:
    return replace(image, author=step.name), f"MAINTAINER {step.name}"


def _on_build(image: Image, step: given.OnBuild) -> Changed:
    return image.with_(on_build=(*(image.config.on_build or ()), step.expression)), f"ONBUILD {step.expression}"


def _cmd(image: Image, step: given.Cmd) -> Changed:
    words = (*shell_of(image.config), *step.words) if step.shell else step.words  # without words, too
    return replace(image.with_(cmd=words), cmd_set=image.cmd_set or bool(step.words)), f"CMD {quoted_list(words)}"


def _entrypoint(image: Image, step: given.Entrypoint) -> Changed:
    words = command_line(image.config, step) or None
    changes: dict[str, Any] = {"entrypoint": words} if image.cmd_set else {"entrypoint": words, "cmd": None}
    return image.with_(**changes), f"ENTRYPOINT {quoted_list(words)}"


def _healthcheck(image: Image, step: given.HealthCheck) -> Changed:
    return image.with_(healthcheck=step.check), f"HEALTHCHECK {_shown(step.check)}"


def _shown(check: Healthcheck) -> str:
    """Go's `%q` of the structure, which is how Docker shows it."""
    times = (check.interval, check.timeout, check.start_period, check.start_interval)
    shown = " ".join(quote(go_duration(time)) for time in times)
    number = check.retries
    return f"&{{{quoted_list(check.test)} {shown} {_rune(number)}}}"


def _rune(number: int) -> str:
    if number == 0x27:
        return "'\\''"
    if not 0 <= number <= 0x10FFFF:
        return "'�'"
    return f"'{quote(chr(number))[1:-1]}'" if number != 0x22 else "'\"'"


def go_duration(nanoseconds: int) -> str:
    """Go's `Duration.String()`."""
    if not nanoseconds:
        return "0s"
    if nanoseconds < 10**9:
        for unit, size in (("ms", 10**6), ("µs", 10**3), ("ns", 1)):
            if nanoseconds >= size:
                return _decimal(nanoseconds, size) + unit
    out, rest = "", nanoseconds
    for unit, size in _UNITS:
        if rest >= size or out:
            out, rest = f"{out}{rest // size}{unit}", rest % size
    return f"{out}{_decimal(rest, 10**9)}s"


def _decimal(value: int, size: int) -> str:
    whole, rest = divmod(value, size)
    digits = f"{rest:0{len(str(size)) - 1}d}".rstrip("0") if size > 1 else ""
    return f"{whole}.{digits}" if digits else str(whole)


def _expose(image: Image, words: tuple[str, ...]) -> Changed:
    ports = dict(image.config.exposed_ports or {})
    for word in words:
        ports.update({port: {} for port in ports_of(word)})
    return image.with_(exposed_ports=ports), "EXPOSE " + " ".join(words)


def ports_of(text: str) -> list[str]:
    """`8000-8002/udp`, with host parts before it as `-p` has them, as single ports; raises `InvalidArgument`."""
    inner = text.rpartition(":")[2]
    port, _, protocol = inner.partition("/")
    if not port:
        raise InvalidArgument(f"no port specified: {text}<empty>")
    match = _PORT.match(port)
    first = int(match["first"]) if match else -1
    last = int(match["last"] or first) if match else -1
    if match is None or not 0 <= first <= last <= 65535:
        raise InvalidArgument(f"invalid containerPort: {port}")
    protocol = protocol.lower() or "tcp"
    if protocol not in ("tcp", "udp", "sctp"):
        raise InvalidArgument(f"invalid proto: {protocol}")
    return [f"{number}/{protocol}" for number in range(first, last + 1)]


def _user(image: Image, step: given.User) -> Changed:
    return image.with_(user=step.name), f"USER {step.name}"


def _volume(image: Image, step: given.Volume) -> Changed:
    if not all(step.paths):
        raise InvalidArgument("VOLUME specified can not be an empty string")
    volumes = {**(image.config.volumes or {}), **{path: {} for path in step.paths}}
    return image.with_(volumes=volumes), f"VOLUME {plain_list(step.paths)}"


def _stop_signal(image: Image, step: given.StopSignal) -> Changed:
    signals.parse(step.signal)
    return image.with_(stop_signal=step.signal), f"STOPSIGNAL {step.signal}"


def _shell(image: Image, step: given.Shell) -> Changed:
    return image.with_(shell=step.words), f"SHELL {plain_list(step.words)}"


_CHANGES: Mapping[type[given.Instruction], Callable[[Image, Any], Changed]] = {
    given.Env: _env,
    given.Label: _label,
    given.Maintainer: _maintainer,
    given.OnBuild: _on_build,
    given.Cmd: _cmd,
    given.Entrypoint: _entrypoint,
    given.HealthCheck: _healthcheck,
    given.User: _user,
    given.Volume: _volume,
    given.StopSignal: _stop_signal,
    given.Shell: _shell,
}
