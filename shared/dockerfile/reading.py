"""From parsed lines to instructions (buildkit's `instructions.Parse`), with its checks and its texts."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace

from shared.contracts.container import Healthcheck
from shared.durations import duration
from shared.errors import InvalidArgument

from .flags import Flags
from .instructions import (
    Arg,
    Cmd,
    Copy,
    Entrypoint,
    Env,
    Expose,
    From,
    HealthCheck,
    Instruction,
    Label,
    Maintainer,
    OnBuild,
    Pair,
    Run,
    Shell,
    Stage,
    StopSignal,
    User,
    Volume,
    WorkDir,
)
from .parser import Node, Parsed, parse_heredoc
from .text import quote, strip

_STAGE_NAME = re.compile(r"[a-z][a-z0-9-_.]*\Z")
_ONBUILD = re.compile(r"^\s*ONBUILD\s*", re.IGNORECASE)
_SHORTEST_INTERVAL = 1_000_000
_LARGEST_RETRIES = (1 << 31) - 1


def stages(parsed: Parsed) -> tuple[tuple[Arg, ...], tuple[Stage, ...]]:
    """The ARGs before the first FROM, and the stages; raises `InvalidArgument` with Docker's text."""
    before: list[Arg] = []
    found: list[tuple[From, list[Instruction]]] = []
    for node in parsed.nodes:
        try:
            made = instruction(node)
        except InvalidArgument as error:
            raise InvalidArgument(f"dockerfile parse error on line {node.line}: {error.message}") from None
        if isinstance(made, From):
            found.append((made, []))
        elif found:
            found[-1][1].append(made)
        elif isinstance(made, Arg):
            before.append(made)
        else:
            raise InvalidArgument("no build stage in current context")
    return tuple(before), tuple(Stage(begin, tuple(rest)) for begin, rest in found)


def instruction(node: Node) -> Instruction:
    """What a line says; raises `InvalidArgument`."""
    make = _MAKERS.get(node.command.lower())
    if make is None:
        raise InvalidArgument(f"unknown instruction: {node.command}")
    return replace(make(node), source=strip(node.original), line=node.line)


def _at_least_one(node: Node, command: str) -> None:
    if not node.args:
        raise InvalidArgument(f"{command} requires at least one argument")


def _exactly_one(node: Node, command: str) -> str:
    if len(node.args) != 1:
        raise InvalidArgument(f"{command} requires exactly one argument")
    return node.args[0]


def _no_flags(node: Node) -> None:
    Flags(node.flags).check()


def _threes(node: Node, command: str) -> tuple[Pair, ...]:
    _no_flags(node)
    _at_least_one(node, command)
    names, values = node.args[::3], node.args[1::3]
    if not all(names):
        raise InvalidArgument(f"{command} names can not be blank")
    return tuple(zip(names, values, strict=True))


def _env(node: Node) -> Instruction:
    return Env(_threes(node, "ENV"))


def _label(node: Node) -> Instruction:
    return Label(_threes(node, "LABEL"))


def _maintainer(node: Node) -> Instruction:
    name = _exactly_one(node, "MAINTAINER")
    _no_flags(node)
    return Maintainer(name)


def _copy(node: Node) -> Instruction:
    command = node.command.upper()
    if len(node.args) < 2:
        raise InvalidArgument(
            f"{command} requires at least two arguments, but only one was provided. Destination could not be determined"
        )
    flags = Flags(node.flags, texts=("chown", "chmod", *_TEXTS[command]), switches=("link", *_SWITCHES[command]),
                  lists=("exclude",)).check()  # fmt: skip
    *sources, destination = node.args
    if parse_heredoc(destination):
        raise InvalidArgument(f"{command} cannot accept a heredoc as a destination")
    texts = {each.name: each for each in node.heredocs}
    heredocs = [(source, parse_heredoc(source)) for source in sources]
    return Copy(
        command=command,
        sources=tuple(source for source, heredoc in heredocs if heredoc is None),
        destination=destination,
        contents=tuple(texts.get(heredoc.name, heredoc) for _, heredoc in heredocs if heredoc is not None),
        chown=flags.text("chown"),
        chmod=flags.text("chmod"),
        from_=flags.text("from"),
        link=flags.switch("link") or False,
        parents=flags.switch("parents") or False,
        excludes=flags.list("exclude"),
        checksum=flags.text("checksum"),
        keep_git_dir=flags.switch("keep-git-dir"),
        unpack=flags.switch("unpack"),
    )


_TEXTS: Mapping[str, tuple[str, ...]] = {"COPY": ("from",), "ADD": ("checksum",)}
_SWITCHES: Mapping[str, tuple[str, ...]] = {"COPY": ("parents",), "ADD": ("keep-git-dir", "unpack")}


def _from(node: Node) -> Instruction:
    name = ""
    if len(node.args) == 3 and node.args[1].lower() == "as":
        name = node.args[2].lower()
        if not _STAGE_NAME.match(name):
            raise InvalidArgument(
                f"invalid name for build stage: {quote(node.args[2])}, "
                "name can't start with a number or contain symbols"
            )
    elif len(node.args) != 1:
        raise InvalidArgument("FROM requires either one or three arguments")
    flags = Flags(node.flags, texts=("platform",)).check()
    return From(node.args[0], name, flags.text("platform"))


def _on_build(node: Node) -> Instruction:
    _at_least_one(node, "ONBUILD")
    _no_flags(node)
    trigger = node.args[0].strip().upper()
    if trigger == "ONBUILD":
        raise InvalidArgument("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed")
    if trigger in ("MAINTAINER", "FROM"):
        raise InvalidArgument(f"{trigger} isn't allowed as an ONBUILD trigger")
    expression = _ONBUILD.sub("", node.original)
    return OnBuild(expression + "".join(f"\n{each.content}{each.name}" for each in node.heredocs))


def _work_dir(node: Node) -> Instruction:
    path = _exactly_one(node, "WORKDIR")
    _no_flags(node)
    return WorkDir(path)


def _words(node: Node) -> tuple[str, ...]:
    """The list as given, or the words as one text."""
    if node.json or not node.args:
        return node.args
    return (" ".join(node.args),)


def _run(node: Node) -> Instruction:
    flags = Flags(node.flags, texts=("network", "security"), lists=("mount",)).check()
    return Run(_words(node), not node.json, node.heredocs, flags.list("mount"), flags.text("network"),
               flags.text("security"))  # fmt: skip


def _cmd(node: Node) -> Instruction:
    _no_flags(node)
    return Cmd(_words(node), not node.json, node.heredocs)


def _entrypoint(node: Node) -> Instruction:
    _no_flags(node)
    return Entrypoint(_words(node), not node.json, node.heredocs)


def _healthcheck(node: Node) -> Instruction:
    _at_least_one(node, "HEALTHCHECK")
    kind, rest = node.args[0].upper(), node.args[1:]
    if kind == "NONE":
        if rest:
            raise InvalidArgument("HEALTHCHECK NONE takes no arguments")
        return HealthCheck(Healthcheck(test=("NONE",)))
    flags = Flags(node.flags, texts=("interval", "timeout", "start-period", "start-interval", "retries")).check()
    if kind != "CMD":
        raise InvalidArgument(f"Unknown type {quote(kind)} in HEALTHCHECK (try CMD)")
    if not rest:
        raise InvalidArgument("Missing command after HEALTHCHECK CMD")
    test = ("CMD", *rest) if node.json else ("CMD-SHELL", " ".join(rest))
    return HealthCheck(
        Healthcheck(
            test=test,
            interval=_interval("interval", flags),
            timeout=_interval("timeout", flags),
            start_period=_interval("start-period", flags),
            start_interval=_interval("start-interval", flags),
            retries=_retries(flags.text("retries")),
        )
    )


def _interval(name: str, flags: Flags) -> int:
    text = flags.text(name)
    if not text:
        return 0
    length = duration(text)
    if length is None:
        what = "missing unit in" if text.isdigit() and text != "0" else "invalid"
        if text == "0":
            return 0
        raise InvalidArgument(f"time: {what} duration {quote(text[:100])}")
    if 0 < length < _SHORTEST_INTERVAL:
        raise InvalidArgument(f"Interval {quote(name)} cannot be less than 1ms")
    return length


def _retries(text: str) -> int:
    if not text:
        return 0
    if not re.fullmatch(r"[+-]?[0-9]{1,12}", text):
        raise InvalidArgument(f"strconv.ParseInt: parsing {quote(text[:100])}: invalid syntax")
    number = int(text)
    if abs(number) > _LARGEST_RETRIES:
        raise InvalidArgument(f"strconv.ParseInt: parsing {quote(text)}: value out of range")
    if number < 0:
        raise InvalidArgument(f"--retries cannot be negative ({number})")
    return number


def _expose(node: Node) -> Instruction:
    _at_least_one(node, "EXPOSE")
    _no_flags(node)
    return Expose(tuple(sorted(node.args)))


def _user(node: Node) -> Instruction:
    name = _exactly_one(node, "USER")
    _no_flags(node)
    return User(name)


def _volume(node: Node) -> Instruction:
    _at_least_one(node, "VOLUME")
    _no_flags(node)
    paths = tuple(strip(path) for path in node.args)
    if not all(paths):
        raise InvalidArgument("VOLUME specified can not be an empty string")
    return Volume(paths)


def _stop_signal(node: Node) -> Instruction:
    return StopSignal(_exactly_one(node, "STOPSIGNAL"))


def _arg(node: Node) -> Instruction:
    _at_least_one(node, "ARG")
    return Arg(tuple(_declared(each) for each in node.args))


def _declared(word: str) -> tuple[str, str | None]:
    name, equals, value = word.partition("=")
    if equals and not name:
        raise InvalidArgument("ARG names can not be blank")
    return name, value if equals else None


def _shell(node: Node) -> Instruction:
    _no_flags(node)
    _at_least_one(node, "SHELL")
    if not node.json:
        raise InvalidArgument(f"SHELL requires the arguments to be in JSON form: {node.original}")
    return Shell(node.args)


_MAKERS: Mapping[str, Callable[[Node], Instruction]] = {
    "add": _copy, "arg": _arg, "cmd": _cmd, "copy": _copy, "entrypoint": _entrypoint, "env": _env, "expose": _expose,
    "from": _from, "healthcheck": _healthcheck, "label": _label, "maintainer": _maintainer, "onbuild": _on_build,
    "run": _run, "shell": _shell, "stopsignal": _stop_signal, "user": _user, "volume": _volume, "workdir": _work_dir,
}  # fmt: skip
