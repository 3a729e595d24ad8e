from __future__ import annotations

import pytest

from services.builder.domain import steps
from services.builder.domain.arguments import Arguments
from services.builder.domain.steps import Describe, Execute, MakeFolder, State, Transfer
from shared.contracts.container import ContainerConfig
from shared.dockerfile.parser import parse
from shared.dockerfile.reading import stages
from shared.errors import InvalidArgument


def plan(*lines: str, config: ContainerConfig | None = None, given: dict[str, str | None] | None = None) -> steps.Step:
    """What the last of the lines comes to; those before it only describe."""
    state, _ = steps.begin(config or ContainerConfig(), "sha256:base", Arguments.of(given or {}, {}), "\\")
    step: steps.Step | None = None
    for each in stages(parse("\n".join(("FROM x", *lines)).encode()))[1][0].instructions:
        step = steps.plan(state, each)
        state = step.state
    assert step is not None
    return step


def test_the_beginning_of_a_stage() -> None:
    base = ContainerConfig(on_build=("RUN x",), open_stdin=True, env=("A=b",))
    state, triggers = steps.begin(base, "sha256:1", Arguments.of({}, {}), "\\")
    assert (triggers, state.config.on_build, state.config.open_stdin) == (("RUN x",), None, False)
    assert state.config.env == ("A=b", steps.PATH)


def test_metadata() -> None:
    step = plan("ENV A=1", 'LABEL x="$A $B"')
    assert isinstance(step, Describe)
    assert step.state.config.labels == {"x": "1 "}
    assert step.history == "/bin/sh -c #(nop)  LABEL x=1 "
    assert plan('SHELL ["a"]').history == "a #(nop)  SHELL [a]"
    assert plan("ARG A B=2").history == "/bin/sh -c #(nop)  ARG A B=2"
    note = plan("HEALTHCHECK CMD a", "HEALTHCHECK NONE")
    assert isinstance(note, Describe)
    assert note.note == "Note: overriding previous HEALTHCHECK: [CMD-SHELL a]\n"


def test_a_port_list_in_one_variable() -> None:
    assert plan("ENV P='80 443'", "EXPOSE $P").state.config.exposed_ports == {"80/tcp": {}, "443/tcp": {}}


def test_working_directories() -> None:
    step = plan("WORKDIR a", "WORKDIR b")
    assert isinstance(step, MakeFolder)
    assert (step.path, step.history) == ("/a/b", "/bin/sh -c #(nop) WORKDIR /a/b")


def test_copying() -> None:
    step = plan("ARG A=1", "COPY $A <<B <<'C' /$A\n$A\nB\n$A\nC")
    assert isinstance(step, Transfer)
    assert (step.copy.sources, step.copy.destination) == (("1",), "/1")
    assert [each.content for each in step.copy.contents] == ["1\n", "$A\n"]


def test_running() -> None:
    step = plan("ARG A=1", "RUN echo $A", given={"HTTP_PROXY": "p"})
    assert isinstance(step, Execute)
    assert step.words == ("/bin/sh", "-c", "echo $A")
    assert step.env == ("A=1", "HTTP_PROXY=p")
    assert step.history == "|1 A=1 /bin/sh -c echo $A"
    config = steps.container_config(step)
    assert (config.image, config.cmd, config.entrypoint) == ("sha256:base", step.words, ("",))
    assert config.env[-2:] == step.env
    assert config.healthcheck is not None
    assert config.healthcheck.test == ("NONE",)


@pytest.mark.parametrize(
    ("line", "last"),
    [
        ("RUN <<E\necho a\necho b\nE", "echo a\necho b\n"),
        ("RUN python3 <<E\nprint()\nE", "python3 <<E\nprint()\nE"),
        ("RUN <<-E\n\techo a\n\tE", "echo a\n"),
        ("RUN <<E\n#!/bin/x\na\nE", "/dev/pipes/E"),
    ],
)
def test_heredocs(line: str, last: str) -> None:
    step = plan(line)
    assert isinstance(step, Execute)
    assert step.words == ("/bin/sh", "-c", last)
    assert (step.script is not None) is last.startswith("/dev")


def test_mounts_make_another_step() -> None:
    step = plan("RUN --mount=type=cache,target=/c --network=none x")
    assert isinstance(step, Execute)
    assert step.history == "/bin/sh -c x # --mount=type=cache,target=/c"
    assert (step.mounts[0].target, step.network) == ("/c", "none")


@pytest.mark.parametrize(
    ("line", "why"),
    [("RUN --security=insecure x", "--security=insecure"), ("RUN --network=x y", "invalid network mode"),
     ("ENV A=${B?unset}", "B: unset")],
)  # fmt: skip
def test_what_is_refused(line: str, why: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        plan(line)
    assert why in caught.value.message


def test_expansion_sees_arguments_and_environment() -> None:
    state, _ = steps.begin(ContainerConfig(), "", Arguments.of({}, {}), "`")
    assert isinstance(state, State)
    assert state.expand("`$x$PATH") == "$x" + steps.PATH.removeprefix("PATH=")
