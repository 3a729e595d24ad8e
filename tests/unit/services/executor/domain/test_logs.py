from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import pytest

from services.executor.domain import logs
from shared.contracts.container import ContainerConfig, ContainerSpec, HostConfig, LogConfig
from shared.errors import InvalidArgument

MB = 1 << 20


def spec(driver: str = "json-file", having: Mapping[str, str] = MappingProxyType({}), **options: Any) -> ContainerSpec:
    named = {name.replace("_", "-"): value for name, value in options.items()}
    return ContainerSpec(
        id="0123456789abcdef" * 4,
        name="web",
        created=1,
        config=ContainerConfig(image="busybox:1", labels=dict(having), env=("A=1", "B=x=y", "C")),
        host_config=HostConfig(log_config=LogConfig(type=driver, config=named)),
        image_id="sha256:" + "ab" * 32,
        path="sh",
        args=("-c", "ls"),
    )


@pytest.mark.parametrize(
    ("driver", "options", "size"),
    [
        ("json-file", {}, 0),
        ("json-file", {"max-file": "3"}, 0),
        ("json-file", {"max-size": "10k"}, 10_000),
        ("json-file", {"max-size": "1m", "max-file": "3"}, 3_000_000),
        ("local", {}, 100 * MB),
        ("local", {"max-size": "1m", "max-file": "2"}, 2_000_000),
        ("syslog", {}, 100 * MB),
        ("journald", {"cache-max-size": "1m"}, 5_000_000),
    ],
)
def test_the_bound_is_that_of_all_files_together(driver: str, options: dict[str, str], size: int) -> None:
    assert logs.bound(LogConfig(type=driver, config=options)) == size


@pytest.mark.parametrize(
    ("driver", "options", "packed"),
    [
        ("json-file", {}, False),
        ("json-file", {"compress": "true", "max-size": "1m", "max-file": "2"}, True),
        ("local", {}, True),
        ("local", {"compress": "false"}, False),
        ("syslog", {"cache-compress": "false"}, False),
    ],
)
def test_packed(driver: str, options: dict[str, str], packed: bool) -> None:
    assert logs.compressed(LogConfig(type=driver, config=options)) is packed


def test_who_can_be_read() -> None:
    assert [logs.readable(LogConfig(type=name)) for name in ("json-file", "local", "syslog", "journald", "none")] == [
        True, True, True, True, False,
    ]  # fmt: skip
    assert not logs.readable(LogConfig(type="syslog", config={"cache-disabled": "true"}))


def test_attributes() -> None:
    labels = {"com.a": "1", "com.b": "2", "x": "3"}
    assert logs.attributes(spec(having=labels), "h") == {}
    assert logs.attributes(spec(having=labels, labels="x,nope", env="B"), "h") == {"x": "3", "B": "x=y"}
    chosen = logs.attributes(spec(having=labels, labels_regex="^com\\.", env_regex="^[AC]$", tag="{{.Name}}"), "h")
    assert chosen == {"com.a": "1", "com.b": "2", "A": "1", "tag": "web"}


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("", "0123456789ab"),
        ("{{.FullID}}", "0123456789abcdef" * 4),
        ("{{.ImageName}}/{{.Name}}/{{ .ID }}", "busybox:1/web/0123456789ab"),
        ("{{.ImageID}} {{.Command}}", "sha256:ababa sh -c ls"),
        ("{{upper .Name}}-{{.Name | title}}", "WEB-Web"),
        ("plain", "plain"),
        ("{{.Hostname}}", "h"),
        ("{{.ContainerLabels}}", "map[]"),
        ("{{.DaemonName}}{{.LogPath}}", "docker"),
        ("{{.ContainerCreated}}", "1970-01-01 00:00:00.000000001 +0000 UTC"),
    ],
)
def test_tags(template: str, text: str) -> None:
    assert logs.tag(spec(tag=template), "h") == text


def test_a_tag_of_nothing_is_none() -> None:
    assert logs.attributes(spec(tag="{{.ContainerLabels.x}}"), "h") == {}


@pytest.mark.parametrize("driver", ["json-file", "local", "syslog", "journald"])
def test_every_driver_refuses_a_broken_tag_at_the_start(driver: str) -> None:
    with pytest.raises(InvalidArgument, match="unclosed action"):
        logs.sink(spec(driver, tag="{{.Name"), "h")
    assert logs.sink(spec("none", tag="{{.Name"), "h") is None


def test_a_tag_of_labels_and_variables() -> None:
    wanted = spec(having={"com.a": "1"}, env="A", tag='{{index .ContainerLabels "com.a"}} {{(.ExtraAttributes nil).A}}')
    assert logs.tag(wanted, "h") == "1 1"


@pytest.mark.parametrize("template", ["{{.Nope}}", "{{Name}}", "{{foo .Name}}", "{{}}", "{{.Name | nope}}"])
def test_a_broken_tag(template: str) -> None:
    with pytest.raises(InvalidArgument, match="failed to initialize logging driver: template: log-tag"):
        logs.tag(spec(tag=template), "h")


def test_sinks() -> None:
    assert logs.sink(spec(), "h") is None
    options: dict[str, Any] = {"syslog_address": "tcp+tls://log", "syslog_facility": "mail", "syslog_format": "rfc5424"}
    found = logs.sink(spec("syslog", syslog_tls_skip_verify="", syslog_tls_ca_cert="/ca", **options), "h")
    assert found is not None
    assert (found.transport, found.address, found.facility, found.form) == ("tcp+tls", "log:514", 2, "rfc5424")
    assert (found.tag, found.tls_ca, found.tls_skip_verify) == ("0123456789ab", "/ca", True)
    journal = logs.sink(spec("journald", {"_my.label": "x"}, labels="_my.label", tag="t"), "h")
    assert journal is not None
    assert journal.fields["CONTAINER_NAME"] == "web"
    assert journal.fields["SYSLOG_IDENTIFIER"] == journal.fields["CONTAINER_TAG"] == "t"
    assert journal.fields["MY_LABEL"] == "x"
