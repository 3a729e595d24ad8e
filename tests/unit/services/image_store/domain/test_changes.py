from __future__ import annotations

import pytest

from services.image_store.domain.changes import apply, ports_of
from shared.contracts.container import ContainerConfig, Healthcheck
from shared.errors import InvalidArgument

SH = ("/bin/sh", "-c")


def changed(*lines: str, **before: object) -> ContainerConfig:
    return apply(ContainerConfig(**before), lines)  # type: ignore[arg-type]


def test_commands_by_the_shell_or_exact() -> None:
    assert changed("CMD echo hi").cmd == (*SH, "echo hi")
    assert changed('CMD ["a", "b c"]').cmd == ("a", "b c")
    assert changed("CMD [not json").cmd == (*SH, "[not json")
    assert changed('entrypoint ["/x"]').entrypoint == ("/x",)
    assert changed("CMD x", shell=("/bin/bash", "-c")).cmd == ("/bin/bash", "-c", "x")
    assert changed("CMD").cmd == SH
    assert changed("CMD []").cmd == ()
    assert changed("ENTRYPOINT []", entrypoint=("a",)).entrypoint is changed("ENTRYPOINT").entrypoint is None


def test_variables_in_both_forms() -> None:
    assert changed('ENV A=b C="d e"').env == ("A=b", "C=d e")
    assert changed("ENV A the rest of it").env == ("A=the rest of it",)
    assert changed("ENV A=1", "ENV B=$A$A", "ENV A=2").env == ("A=2", "B=11")


def test_labels_know_the_variables() -> None:
    assert changed("ENV A=b", "LABEL x=$A 'y z'=\"q\"", labels={"old": "1"}).labels == {
        "old": "1",
        "x": "b",
        "y z": "q",
    }


def test_ports_volumes_user_directory_signal() -> None:
    config = changed(
        "EXPOSE 80-82/udp 443",
        "VOLUME /a /b",
        'VOLUME ["/c d"]',
        "USER me",
        "WORKDIR a",
        "WORKDIR b/../c",
        "STOPSIGNAL SIGINT",
    )
    assert config.exposed_ports == {"80/udp": {}, "81/udp": {}, "82/udp": {}, "443/tcp": {}}
    assert config.volumes == {"/a": {}, "/b": {}, "/c d": {}}
    assert (config.user, config.working_dir, config.stop_signal) == ("me", "/a/c", "SIGINT")


def test_health_checks() -> None:
    config = changed("HEALTHCHECK --interval=5s --retries=2 --start-period=1m CMD curl x")
    assert config.healthcheck == Healthcheck(
        test=("CMD-SHELL", "curl x"), interval=5 * 10**9, retries=2, start_period=60 * 10**9
    )
    assert changed('HEALTHCHECK CMD ["a"]').healthcheck == Healthcheck(test=("CMD", "a"))
    assert changed("HEALTHCHECK NONE").healthcheck == Healthcheck(test=("NONE",))


def test_lines_go_on_and_comments_do_not_count() -> None:
    assert changed("# no\n\nCMD a \\\n  b").cmd == (*SH, "a b")
    assert changed("ONBUILD RUN x").on_build == ("RUN x",)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("RUN x", "RUN is not a valid change command"),
        ("FOO", "FOO is not a valid change command"),
        ("ENV", "ENV requires at least one argument"),
        ("ENV a", "ENV must have two arguments"),
        ("ENV =b", "ENV names can not be blank"),
        ("ENV a=b c", 'Syntax error - can\'t find = in "c". Must be of the form: name=value'),
        ("EXPOSE a", "invalid containerPort: a"),
        ("EXPOSE 0", "invalid containerPort: 0"),
        ("EXPOSE 80/foo", "invalid proto: foo"),
        ("EXPOSE 9-8", "invalid containerPort: 9-8"),
        ("USER a b", "USER requires exactly one argument"),
        ("USER", "USER requires exactly one argument"),
        ("STOPSIGNAL a b", "STOPSIGNAL requires exactly one argument"),
        ("STOPSIGNAL FOO", "invalid signal: FOO"),
        ('VOLUME [""]', "VOLUME specified can not be an empty string"),
        ("VOLUME [1]", "arrays must be comprised of strings only"),
        ("ONBUILD ONBUILD x", "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed"),
        ("ONBUILD FROM x", "FROM isn't allowed as an ONBUILD trigger"),
        ("HEALTHCHECK --interval=1 CMD x", 'time: missing unit in duration "1"'),
        ("HEALTHCHECK --interval=x CMD x", 'time: invalid duration "x"'),
        ("HEALTHCHECK --interval=1us CMD x", 'Interval "interval" cannot be less than 1ms'),
        ("HEALTHCHECK --retries=x CMD x", "--retries must be a number"),
        ("HEALTHCHECK --foo=1 CMD x", "unknown flag: --foo"),
        ("HEALTHCHECK NONE x", "HEALTHCHECK NONE takes no arguments"),
        ("HEALTHCHECK CMD", "Missing command after HEALTHCHECK CMD"),
        ("HEALTHCHECK curl", 'Unknown type "CURL" in HEALTHCHECK'),
    ],
)
def test_what_is_wrong_with_a_line(line: str, message: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        changed(line)
    assert message in refused.value.message


def test_ports() -> None:
    assert ports_of("53/UDP") == ["53/udp"]


def test_a_new_entrypoint_drops_the_command_of_the_former() -> None:
    assert changed('ENTRYPOINT ["/x"]', cmd=("a",)).cmd is None
    assert changed("CMD b", 'ENTRYPOINT ["/x"]', cmd=("a",)).cmd == (*SH, "b")
    assert changed('ENTRYPOINT ["/x"]', "CMD b", cmd=("a",)).cmd == (*SH, "b")
    assert changed("CMD", 'ENTRYPOINT ["/x"]').cmd is changed("CMD []", 'ENTRYPOINT ["/x"]').cmd is None
