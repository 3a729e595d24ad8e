"""What each instruction comes to, given the image so far: plans that operations carry out."""

from __future__ import annotations

from dataclasses import dataclass, replace

from shared.contracts.container import ContainerConfig, Healthcheck
from shared.dockerfile import instructions as given
from shared.dockerfile import metadata
from shared.dockerfile.metadata import DEFAULT_SHELL, command_line, created_by, working_dir
from shared.dockerfile.parser import parse_heredoc
from shared.dockerfile.words import Lex
from shared.errors import InvalidArgument

from .arguments import Arguments
from .mounts import Mount, parse

PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
SCRIPTS = "/dev/pipes/"


@dataclass(frozen=True)
class State:
    """A stage on its way: the image that is there (`image_id`, "": nothing yet), and what the next one will say."""

    image: metadata.Image
    arguments: Arguments
    image_id: str = ""
    escape: str = "\\"

    @property
    def config(self) -> ContainerConfig:
        return self.image.config

    def lex(self) -> Lex:
        return Lex(self.escape)

    def expand(self, word: str) -> str:
        """One word with the variables of this place; raises `InvalidArgument`."""
        return self.lex().expand(word, self.arguments.variables(self.config.env))

    def expand_text(self, text: str) -> str:
        """The same for a text in which quotes mean nothing."""
        return Lex(quotes=False).expand(text, self.arguments.variables(self.config.env))

    def split(self, text: str) -> list[str]:
        return self.lex().split(text, self.arguments.variables(self.config.env))


@dataclass(frozen=True)
class Step:
    """`state`: after it, but for the image's id; `history`: what the image's history says of it."""

    state: State
    history: str


@dataclass(frozen=True)
class Describe(Step):
    """Nothing but the configuration changes. `note`: a line to show first."""

    note: str = ""


@dataclass(frozen=True)
class MakeFolder(Step):
    """The working directory is made where it is missing."""

    path: str


@dataclass(frozen=True)
class Transfer(Step):
    """COPY and ADD. The history is known when the sources are."""

    copy: given.Copy


@dataclass(frozen=True)
class Execute(Step):
    """RUN: `words` in a container of the image with `env` more; `script`: a file it runs (name, text)."""

    words: tuple[str, ...]
    env: tuple[str, ...] = ()
    mounts: tuple[Mount, ...] = ()
    script: tuple[str, str] | None = None
    network: str = ""


def begin(config: ContainerConfig, image_id: str, arguments: Arguments, escape: str) -> tuple[State, tuple[str, ...]]:
    """A stage on its base, and the triggers that the base has for it."""
    triggers = config.on_build or ()
    env = config.env if any(each.startswith("PATH=") for each in config.env) else (*config.env, PATH)
    image = metadata.Image(config).with_(env=env, on_build=None, open_stdin=False, stdin_once=False)
    return State(image, arguments.for_stage(), image_id, escape), triggers


def plan(state: State, instruction: given.Instruction) -> Step:
    """What is to be done; raises `InvalidArgument`."""
    step = instruction.expanded(state.expand)
    if isinstance(step, given.Arg):
        return _declare(state, step)
    if isinstance(step, given.WorkDir):
        path = working_dir(state.config.working_dir, step.path)
        history = created_by(state.config, f"WORKDIR {path}", spaced=False)
        return MakeFolder(replace(state, image=state.image.with_(working_dir=path)), history, path)
    if isinstance(step, given.Copy):
        return Transfer(state, "", step.with_texts(state.expand_text))
    if isinstance(step, given.Run):
        return _execute(state, step)
    changed = metadata.change(state.image, step, state.split)
    if changed is None:
        raise InvalidArgument(f"unsupported instruction: {instruction.source}")
    image, words = changed
    return Describe(replace(state, image=image), created_by(image.config, words), _note(state, step))


def origins(step: Step) -> tuple[str, ...]:
    """The stages and images that a step takes files of."""
    found: tuple[str, ...] = (step.copy.from_,) if isinstance(step, Transfer) else ()
    found += tuple(mount.from_ for mount in step.mounts) if isinstance(step, Execute) else ()
    return tuple(each for each in found if each)


def _note(state: State, step: given.Instruction) -> str:
    before = state.config.healthcheck
    if isinstance(step, given.HealthCheck) and before and before.test and before.test[0] != "NONE":
        return f"Note: overriding previous HEALTHCHECK: [{' '.join(before.test)}]\n"
    return ""


def _declare(state: State, step: given.Arg) -> Step:
    words = " ".join(name if value is None else f"{name}={value}" for name, value in step.pairs)
    after = replace(state, arguments=state.arguments.declare(step))
    return Describe(after, created_by(state.config, f"ARG {words}"))


def _execute(state: State, step: given.Run) -> Step:
    words, script = _command(state.config, step)
    env = state.config.env
    told = state.arguments.told(env)
    mounts = tuple(parse(each, state.expand) for each in step.mounts)
    if step.security not in ("", "sandbox"):
        raise InvalidArgument(f"the --security={step.security} option is not supported by this engine")
    if step.network not in ("", "default", "none", "host"):
        raise InvalidArgument(f"invalid network mode {step.network!r}")
    history = " ".join((*told, *words, *((script[1],) if script else ()), *_mounted(step)))
    hidden = tuple(f"{name}={value}" for name, value in state.arguments.hidden(env).items())
    return Execute(state, history, words, hidden, mounts, script, step.network)


def _mounted(step: given.Run) -> tuple[str, ...]:
    """Other mounts make another step; the history says so behind the command."""
    return (f"# --mount={' --mount='.join(step.mounts)}",) if step.mounts else ()


def _command(config: ContainerConfig, step: given.Run) -> tuple[tuple[str, ...], tuple[str, str] | None]:
    """What is run, with the heredocs that belong to it: a script of its own where it begins with `#!`."""
    if not step.files:
        return command_line(config, step), None
    if not step.shell or len(step.words) != 1:
        raise InvalidArgument(f"parsing produced an invalid run command: {' '.join(step.words)}")
    first, word = step.files[0], step.words[0]
    if parse_heredoc(word) is None:
        word += "".join(f"\n{each.content}{each.name}" for each in step.files)
    elif first.text.startswith("#!"):
        return (*(config.shell or DEFAULT_SHELL), SCRIPTS + first.name), (first.name, first.text)
    else:
        word = first.text
    return (*(config.shell or DEFAULT_SHELL), word), None


def container_config(step: Execute) -> ContainerConfig:
    """The container of a RUN: no entrypoint, no health check, and the arguments in its environment."""
    return step.state.image.with_(
        image=step.state.image_id,
        cmd=step.words,
        entrypoint=("",),
        env=(*step.state.config.env, *step.env),
        healthcheck=Healthcheck(test=("NONE",)),
        attach_stdout=True,
        attach_stderr=True,
    ).config
