from __future__ import annotations

import pytest

from shared.contracts.container import Healthcheck
from shared.dockerfile.instructions import Instruction
from shared.dockerfile.parser import parse
from shared.dockerfile.reading import stages
from shared.errors import InvalidArgument


def read(line: str) -> Instruction:
    """One instruction of a stage, without what it says of its place."""
    (stage,) = stages(parse(f"FROM x\n{line}\n".encode()))[1]
    (step,) = stage.instructions
    return step


def test_stages() -> None:
    before, found = stages(parse(b"ARG V=1 W\nFROM --platform=$P a:$V AS One\nRUN x\nFROM one\n"))
    assert before[0].pairs == (("V", "1"), ("W", None))
    assert [(each.begin.base, each.begin.name, each.begin.platform, len(each.instructions)) for each in found] == [
        ("a:$V", "one", "$P", 1), ("one", "", "", 0),
    ]  # fmt: skip
    assert found[0].begin.source == "FROM --platform=$P a:$V AS One"


@pytest.mark.parametrize(
    ("line", "field", "value"),
    [
        ("ENV a=b c=d", "pairs", (("a", "b"), ("c", "d"))), ("ENV a b c", "pairs", (("a", "b c"),)),
        ("LABEL a=b", "pairs", (("a", "b"),)), ("MAINTAINER a <b>", "name", "a <b>"),
        ("COPY --from=x a b /c/", "sources", ("a", "b")), ("COPY --link --chmod=7 a b", "chmod", "7"),
        ('ADD ["a b", "/c"]', "destination", "/c"), ("COPY <<E x /d\ntext\nE", "sources", ("x",)),
        ("ONBUILD copy a b", "expression", "copy a b"), ("WORKDIR /a b", "path", "/a b"),
        ("RUN a  b", "words", ("a  b",)), ('RUN ["a", "b"]', "shell", False),
        ("RUN --mount=type=tmpfs,target=/x a", "mounts", ("type=tmpfs,target=/x",)),
        ("CMD", "words", ()), ("ENTRYPOINT a", "shell", True),
        ("HEALTHCHECK NONE", "check", Healthcheck(test=("NONE",))),
        ("HEALTHCHECK --retries=3 --timeout=1m CMD x y", "check",
         Healthcheck(test=("CMD-SHELL", "x y"), retries=3, timeout=60 * 10**9)),
        ("EXPOSE 80 443/udp 53", "ports", ("443/udp", "53", "80")), ("USER a:b", "name", "a:b"),
        ('VOLUME ["/a", " /b "]', "paths", ("/a", "/b")), ("STOPSIGNAL 9", "signal", "9"),
        ('SHELL ["a", "-c"]', "words", ("a", "-c")), ("ARG a b=", "pairs", (("a", None), ("b", ""))),
    ],
)  # fmt: skip
def test_what_lines_say(line: str, field: str, value: object) -> None:
    assert getattr(read(line), field) == value


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("FOO a", "dockerfile parse error on line 2: unknown instruction: FOO"),
        ("USER", "USER requires exactly one argument"),
        ("COPY a", "COPY requires at least two arguments, but only one was provided. Destination could not be"),
        ("COPY --bad=1 a b", "unknown flag: --bad"), ("COPY a <<E\nE", "COPY cannot accept a heredoc as a destination"),
        ("ONBUILD ONBUILD RUN x", "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed"),
        ("ONBUILD FROM x", "FROM isn't allowed as an ONBUILD trigger"),
        ("EXPOSE", "EXPOSE requires at least one argument"),
        ("SHELL a", "SHELL requires the arguments to be in JSON form"),
        ("LABEL", "LABEL requires at least one argument"),
        ("ENV =b", "ENV names can not be blank"), ("ARG =b", "ARG names can not be blank"),
        ("HEALTHCHECK NONE x", "HEALTHCHECK NONE takes no arguments"),
        ("HEALTHCHECK --interval=5 CMD x", "missing unit in duration"),
        ("HEALTHCHECK FOO", 'Unknown type "FOO" in HEALTHCHECK (try CMD)'),
        ("HEALTHCHECK CMD", "Missing command after HEALTHCHECK CMD"),
        ("HEALTHCHECK --interval=1us CMD x", 'Interval "interval" cannot be less than 1ms'),
        ("HEALTHCHECK --retries=-1 CMD x", "--retries cannot be negative (-1)"),
        ("HEALTHCHECK --retries=x CMD x", "invalid syntax"),
        ("FROM a b", "FROM requires either one or three arguments"),
        ("FROM a AS 1x", 'invalid name for build stage: "1x", name can\'t start with a number or contain symbols'),
        ('VOLUME ["/a", " "]', "VOLUME specified can not be an empty string"),
    ],
)  # fmt: skip
def test_what_is_refused(line: str, why: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        read(line)
    assert why in caught.value.message


def test_before_the_first_stage() -> None:
    with pytest.raises(InvalidArgument, match="no build stage in current context"):
        stages(parse(b"RUN x\nFROM a\n"))
