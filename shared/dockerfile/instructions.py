"""Instructions as values (buildkit's `instructions`), and the replacing of variables in them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from shared.contracts.container import Healthcheck

from .parser import Heredoc

Expander = Callable[[str], str]
"""Replaces the variables of one word."""


@dataclass(frozen=True)
class Instruction:
    """`source`: the line as written, which is what a build shows; `line`: where it begins."""

    source: str = field(default="", kw_only=True)
    line: int = field(default=0, kw_only=True)

    def expanded(self, expand: Expander) -> Instruction:
        """Itself with the variables of its words replaced; raises `InvalidArgument`."""
        return self


Pair = tuple[str, str]


@dataclass(frozen=True)
class Env(Instruction):
    """ENV name=value ...."""

    pairs: tuple[Pair, ...]

    def expanded(self, expand: Expander) -> Instruction:
        return replace(self, pairs=_expanded_pairs(self.pairs, expand))


@dataclass(frozen=True)
class Label(Instruction):
    """`literal`: not of the Dockerfile, taken as it is."""

    pairs: tuple[Pair, ...]
    literal: bool = False

    def expanded(self, expand: Expander) -> Instruction:
        return self if self.literal else replace(self, pairs=_expanded_pairs(self.pairs, expand))


def _expanded_pairs(pairs: tuple[Pair, ...], expand: Expander) -> tuple[Pair, ...]:
    return tuple((expand(name), expand(value)) for name, value in pairs)


@dataclass(frozen=True)
class Maintainer(Instruction):
    """MAINTAINER name."""

    name: str


@dataclass(frozen=True)
class Copy(Instruction):
    """COPY or ADD (`command`). `contents`: the heredocs among its sources."""

    command: str
    sources: tuple[str, ...]
    destination: str
    contents: tuple[Heredoc, ...] = ()
    chown: str = ""
    chmod: str = ""
    from_: str = ""
    link: bool = False
    parents: bool = False
    excludes: tuple[str, ...] = ()
    checksum: str = ""
    keep_git_dir: bool | None = None
    unpack: bool | None = None

    def expanded(self, expand: Expander) -> Instruction:
        return replace(
            self,
            sources=tuple(expand(each) for each in self.sources),
            destination=expand(self.destination),
            chown=expand(self.chown),
            chmod=expand(self.chmod),
            checksum=expand(self.checksum),
        )

    def with_texts(self, expand: Expander) -> Copy:
        """The contents of heredocs whose name was not quoted, expanded as texts in which quotes mean nothing."""
        made = (replace(each, content=expand(each.content)) if each.expand else each for each in self.contents)
        return replace(self, contents=tuple(made))


@dataclass(frozen=True)
class OnBuild(Instruction):
    """ONBUILD instruction."""

    expression: str


@dataclass(frozen=True)
class WorkDir(Instruction):
    """WORKDIR path."""

    path: str

    def expanded(self, expand: Expander) -> Instruction:
        return replace(self, path=expand(self.path))


@dataclass(frozen=True)
class CommandLine(Instruction):
    """`words` as given; `shell`: one text for the shell. `files`: heredocs that belong to it."""

    words: tuple[str, ...]
    shell: bool
    files: tuple[Heredoc, ...] = ()


@dataclass(frozen=True)
class Run(CommandLine):
    """`mounts` as written: their variables are replaced with the rest."""

    mounts: tuple[str, ...] = ()
    network: str = ""
    security: str = ""


@dataclass(frozen=True)
class Cmd(CommandLine):
    """CMD."""


@dataclass(frozen=True)
class Entrypoint(CommandLine):
    """ENTRYPOINT."""


@dataclass(frozen=True)
class HealthCheck(Instruction):
    """HEALTHCHECK."""

    check: Healthcheck


@dataclass(frozen=True)
class Expose(Instruction):
    """EXPOSE port ...."""

    ports: tuple[str, ...]


@dataclass(frozen=True)
class User(Instruction):
    """USER name."""

    name: str

    def expanded(self, expand: Expander) -> Instruction:
        return replace(self, name=expand(self.name))


@dataclass(frozen=True)
class Volume(Instruction):
    """VOLUME path ...."""

    paths: tuple[str, ...]

    def expanded(self, expand: Expander) -> Instruction:
        return replace(self, paths=tuple(expand(path) for path in self.paths))


@dataclass(frozen=True)
class StopSignal(Instruction):
    """STOPSIGNAL signal."""

    signal: str

    def expanded(self, expand: Expander) -> Instruction:
        return replace(self, signal=expand(self.signal))


@dataclass(frozen=True)
class Arg(Instruction):
    """None: declared without a default."""

    pairs: tuple[tuple[str, str | None], ...]

    def expanded(self, expand: Expander) -> Instruction:
        pairs = tuple((expand(name), None if value is None else expand(value)) for name, value in self.pairs)
        return replace(self, pairs=pairs)


@dataclass(frozen=True)
class Shell(Instruction):
    """SHELL ["program", ...]."""

    words: tuple[str, ...]


@dataclass(frozen=True)
class From(Instruction):
    """`name` in lower case."""

    base: str
    name: str = ""
    platform: str = ""


@dataclass(frozen=True)
class Stage:
    """A FROM with what follows it."""

    begin: From
    instructions: tuple[Instruction, ...] = ()
