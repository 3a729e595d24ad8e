from __future__ import annotations

from services.builder.domain.arguments import Arguments, platform_arguments, unused
from shared.contracts.common import Platform
from shared.dockerfile.instructions import Arg


def declared(*pairs: tuple[str, str | None], given: dict[str, str | None] | None = None) -> Arguments:
    return Arguments.of(given or {}, {}).declare(Arg(pairs))


def test_a_default_and_what_the_client_says() -> None:
    assert declared(("A", "1")).visible() == {"A": "1"}
    assert declared(("A", "1"), given={"A": "2"}).visible() == {"A": "2"}
    assert declared(("A", None)).visible() == {}
    assert declared(("A", "1"), given={"A": None}).visible() == {"A": "1"}


def test_undeclared_arguments_are_not_seen_but_for_the_built_in_ones() -> None:
    arguments = Arguments.of({"A": "1", "HTTP_PROXY": "p"}, {})
    assert arguments.visible() == {"HTTP_PROXY": "p"}
    assert arguments.told(()) == ("|0",)
    assert arguments.declare(Arg((("HTTP_PROXY", None),))).told(()) == ("|1", "HTTP_PROXY=p")


def test_what_stands_before_the_first_from() -> None:
    arguments = Arguments.of({}, {"TARGETARCH": "amd64"}).declare_before(Arg((("V", "1"),)))
    stage = arguments.for_stage()
    assert arguments.visible_before() == {"TARGETARCH": "amd64", "V": "1"}
    assert stage.visible() == {}
    assert stage.declare(Arg((("V", None), ("TARGETARCH", None)))).visible() == {"V": "1", "TARGETARCH": "amd64"}


def test_environment_wins() -> None:
    arguments = declared(("A", "1"), ("B", "2"))
    assert arguments.variables(("A=env",)) == {"A": "env", "B": "2"}
    assert arguments.hidden(("A=env",)) == {"B": "2"}
    assert arguments.told(("A=env",)) == ("|1", "B=2")
    assert arguments.told(("A=env", "B=env")) == ()


def test_unused_ones() -> None:
    assert unused({"B": "", "A": "", "C": None, "no_proxy": ""}, {"C"}) == ["A", "B"]


def test_platforms() -> None:
    found = platform_arguments(Platform(architecture="arm", variant="v7"), Platform())
    assert (found["TARGETPLATFORM"], found["TARGETVARIANT"], found["BUILDPLATFORM"]) == (
        "linux/arm/v7",
        "v7",
        "linux/amd64",
    )
