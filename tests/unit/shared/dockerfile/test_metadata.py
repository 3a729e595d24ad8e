from __future__ import annotations

import pytest

from shared.contracts.container import ContainerConfig, Healthcheck
from shared.dockerfile import metadata
from shared.dockerfile.metadata import Image
from shared.dockerfile.parser import parse
from shared.dockerfile.reading import stages
from shared.errors import InvalidArgument


def after(*lines: str, config: ContainerConfig | None = None) -> tuple[Image, str]:
    """The image after the lines, and what the last one is called."""
    image, words = Image(config or ContainerConfig()), ""
    for step in stages(parse("\n".join(("FROM x", *lines)).encode()))[1][0].instructions:
        changed = metadata.change(image, step, str.split)
        assert changed is not None
        image, words = changed
    return image, words


@pytest.mark.parametrize(
    ("line", "field", "value", "words"),
    [
        ("ENV a=b c=d", "env", ("a=b", "c=d"), "ENV a=b c=d"),
        ("LABEL a=b", "labels", {"a": "b"}, "LABEL a=b"),
        ("ONBUILD RUN x", "on_build", ("RUN x",), "ONBUILD RUN x"),
        ("CMD x y", "cmd", ("/bin/sh", "-c", "x y"), 'CMD ["/bin/sh" "-c" "x y"]'),
        ("CMD []", "cmd", (), "CMD []"),
        ("CMD", "cmd", ("/bin/sh", "-c"), 'CMD ["/bin/sh" "-c"]'),
        ("ENTRYPOINT", "entrypoint", None, "ENTRYPOINT []"),
        ('ENTRYPOINT ["x"]', "entrypoint", ("x",), 'ENTRYPOINT ["x"]'),
        ("EXPOSE 80-81 53/udp", "exposed_ports", {"53/udp": {}, "80/tcp": {}, "81/tcp": {}}, "EXPOSE 53/udp 80-81"),
        ("USER a", "user", "a", "USER a"),
        ("VOLUME /a /b", "volumes", {"/a": {}, "/b": {}}, "VOLUME [/a /b]"),
        ("STOPSIGNAL SIGINT", "stop_signal", "SIGINT", "STOPSIGNAL SIGINT"),
        ('SHELL ["a", "b"]', "shell", ("a", "b"), "SHELL [a b]"),
        ("HEALTHCHECK --interval=90s --retries=3 CMD x", "healthcheck",
         Healthcheck(test=("CMD-SHELL", "x"), interval=90 * 10**9, retries=3),
         'HEALTHCHECK &{["CMD-SHELL" "x"] "1m30s" "0s" "0s" "0s" \'\\x03\'}'),
    ],
)  # fmt: skip
def test_changes(line: str, field: str, value: object, words: str) -> None:
    image, said = after(line)
    assert getattr(image.config, field) == value
    assert said == words


def test_an_entrypoint_drops_the_base_images_command_only() -> None:
    base = ContainerConfig(cmd=("base",))
    assert after('ENTRYPOINT ["x"]', config=base)[0].config.cmd is None
    assert after('CMD ["own"]', 'ENTRYPOINT ["x"]', config=base)[0].config.cmd == ("own",)


def test_the_author() -> None:
    image, words = after("MAINTAINER me")
    assert (image.author, words) == ("me", "MAINTAINER me")


def test_histories() -> None:
    config = ContainerConfig()
    assert metadata.created_by(config, "ENV a=b") == "/bin/sh -c #(nop)  ENV a=b"
    assert metadata.created_by(config, "COPY file:1 in / ", spaced=False) == "/bin/sh -c #(nop) COPY file:1 in / "


@pytest.mark.parametrize(
    ("current", "path", "expected"), [("", "a", "/a"), ("/a", "b/../c", "/a/c"), ("/a", "/b/", "/b"), ("", "//x", "/x")]
)
def test_working_directories(current: str, path: str, expected: str) -> None:
    assert metadata.working_dir(current, path) == expected


@pytest.mark.parametrize(
    ("text", "why"),
    [("a", "invalid containerPort: a"), ("70000", "invalid containerPort: 70000"), ("80/x", "invalid proto: x"),
     ("/tcp", "no port specified: /tcp<empty>"), ("2-1", "invalid containerPort: 2-1")],
)  # fmt: skip
def test_ports_that_are_none(text: str, why: str) -> None:
    with pytest.raises(InvalidArgument, match=why):
        metadata.ports_of(text)


@pytest.mark.parametrize(
    ("nanoseconds", "shown"),
    [(0, "0s"), (1_500_000, "1.5ms"), (30 * 10**9, "30s"), (3600 * 10**9, "1h0m0s"), (90_500_000_000, "1m30.5s")],
)
def test_durations_as_go_shows_them(nanoseconds: int, shown: str) -> None:
    assert metadata.go_duration(nanoseconds) == shown


def test_a_signal_that_is_none() -> None:
    with pytest.raises(InvalidArgument, match="invalid signal: NOPE"):
        after("STOPSIGNAL NOPE")
