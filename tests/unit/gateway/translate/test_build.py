from __future__ import annotations

import base64
import json
from urllib.parse import urlencode

import pytest

from gateway.http.query import Query
from gateway.http.version import Version
from gateway.translate.build import build_request
from shared.contracts.builder import BuildRequest
from shared.contracts.common import Platform
from shared.contracts.container import Ulimit
from shared.contracts.image_store import Credentials
from shared.errors import InvalidArgument, NotImplementedYet


def read(headers: dict[str, str] | None = None, **query: object) -> BuildRequest:
    return build_request(Query(urlencode(query, doseq=True)), headers or {}, Version(1, 51))


def encoded(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode()


def test_what_clients_leave_out() -> None:
    assert read() == BuildRequest(host_config=read().host_config)
    assert read().host_config.network_mode == "default"


def test_what_the_cli_sends() -> None:
    found = read(
        t=["a", "b:1"], dockerfile="F", rm="0", q="1", nocache="1", pull="1", target="x", platform="linux/arm64",
        buildargs='{"A":"1","B":null}', labels='{"l":"v"}', cachefrom='["c"]', memory="1048576", shmsize="64",
        ulimits='[{"Name":"nofile","Soft":1,"Hard":2}]', networkmode="host", extrahosts=["a:1.2.3.4", "b:5.6.7.8"],
        buildid="id", version="1", cpusetcpus="0", cachefrom_="",
    )  # fmt: skip
    assert (found.tags, found.dockerfile, found.remove, found.quiet, found.no_cache, found.pull) == (
        ("a", "b:1"), "F", False, True, True, True,
    )  # fmt: skip
    assert (found.target, found.platform, found.id) == ("x", Platform(architecture="arm64"), "id")
    assert (found.build_args, found.labels, found.cache_from) == ({"A": "1", "B": None}, {"l": "v"}, ("c",))
    host = found.host_config
    assert (host.memory, host.shm_size, host.ulimits) == (1048576, 64, (Ulimit(name="nofile", soft=1, hard=2),))
    assert (host.network_mode, host.extra_hosts, host.cpuset_cpus) == ("host", ("a:1.2.3.4", "b:5.6.7.8"), "0")


def test_removing() -> None:
    assert (read(rm="0").remove, read(rm="").remove, read(rm="0", forcerm="1").remove) == (False, True, True)
    assert read(forcerm="1").force_remove


def test_credentials_and_secrets() -> None:
    secret = base64.b64encode(b"s\0").decode()
    found = read({"x-registry-config": encoded({"r": {"username": "u"}}), "x-build-secrets": encoded({"a": secret})})
    assert (found.auth, found.secrets) == ({"r": Credentials(username="u")}, {"a": b"s\0"})
    assert read({"x-registry-config": "nonsense"}).auth == {}
    with pytest.raises(InvalidArgument, match="X-Build-Secrets: a: not base64"):
        read({"x-build-secrets": encoded({"a": "*"})})


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ({"version": "3"}, 'invalid version "3"'), ({"version": "2"}, "BuildKit is not supported"),
        ({"session": "x"}, "BuildKit is not supported"),
        ({"buildargs": "x"}, "error reading build args: buildargs: "), ({"labels": "[]"}, "error reading labels"),
        ({"cachefrom": "{}"}, "error reading cache-from"),
        ({"ulimits": '[{"Name":1}]'}, "error reading ulimit settings"),
        ({"memory": "x"}, "invalid value for memory"),
        ({"securityopt": "x"}, "security options are not supported on linux"),
        ({"isolation": "hyperv"}, 'unsupported isolation: "hyperv"'),
        ({"outputs": "[{}]"}, "only supported by BuildKit"),
    ],
)  # fmt: skip
def test_what_is_refused(query: dict[str, object], why: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        read(None, **query)
    assert why in caught.value.message


def test_what_is_not_there() -> None:
    with pytest.raises(NotImplementedYet, match="building with squash is not supported"):
        read(None, squash="1")
