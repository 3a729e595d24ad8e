"""A build, from the query and the headers of `POST /build`."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from shared.contracts.builder import BuildRequest
from shared.contracts.container import HostConfig, Ulimit
from shared.contracts.image_store import Credentials
from shared.errors import InvalidArgument, NotImplementedYet

from ..http.query import Query
from ..http.version import Version
from .create import parse_platform

T = TypeVar("T")


class _Auth(msgspec.Struct):
    """Docker's `AuthConfig`."""

    username: str = ""
    password: str = ""
    identitytoken: str = ""
    registrytoken: str = ""

    def credentials(self) -> Credentials:
        return Credentials(
            username=self.username,
            password=self.password,
            identity_token=self.identitytoken,
            registry_token=self.registrytoken,
        )


def build_request(query: Query, headers: Mapping[str, str], version: Version) -> BuildRequest:
    """The builder's request; raises `InvalidArgument` naming the field."""
    _refuse(query)
    force = query.flag("forcerm")
    return BuildRequest(
        dockerfile=query.get("dockerfile"),
        remote=query.get("remote"),
        tags=query.all("t"),
        quiet=query.flag("q"),
        no_cache=query.flag("nocache"),
        pull=query.flag("pull"),
        remove=force or not query.get("rm") or query.flag("rm"),
        force_remove=force,
        build_args=_json(query, "buildargs", dict[str, str | None], "error reading build args"),
        labels=_json(query, "labels", dict[str, str], "error reading labels"),
        cache_from=tuple(_json(query, "cachefrom", list[str], "error reading cache-from")),
        target=query.get("target"),
        platform=parse_platform(query.get("platform")) if query.get("platform") and version >= (1, 32) else None,
        host_config=_host_config(query),
        auth={
            name: auth.credentials() for name, auth in _header(headers, "x-registry-config", dict[str, _Auth]).items()
        },
        secrets={name: _bytes(name, value) for name, value in _secrets(headers).items()},
        aux=version >= (1, 30),
        id=query.get("buildid"),
    )


def _refuse(query: Query) -> None:
    if query.get("version", "1") not in ("1", "2"):
        raise InvalidArgument(f'invalid version "{query.get("version")}"')
    if query.get("version") == "2" or query.get("session"):
        raise InvalidArgument("BuildKit is not supported by this engine: build with DOCKER_BUILDKIT=0")
    if query.flag("squash"):
        raise NotImplementedYet("building with squash is not supported")
    if query.get("securityopt"):
        raise InvalidArgument("security options are not supported on linux")
    if query.get("isolation", "default") not in ("default", ""):
        raise InvalidArgument(f'unsupported isolation: "{query.get("isolation")}"')
    if query.get("outputs") not in ("", "[]", "null"):
        raise InvalidArgument("outputs are only supported by BuildKit")


def _host_config(query: Query) -> HostConfig:
    ulimits = _json(query, "ulimits", list[dict[str, Any]], "error reading ulimit settings")
    return HostConfig(
        memory=query.integer("memory", 0) or 0,
        memory_swap=query.integer("memswap", 0) or 0,
        cpu_shares=query.integer("cpushares", 0) or 0,
        cpu_period=query.integer("cpuperiod", 0) or 0,
        cpu_quota=query.integer("cpuquota", 0) or 0,
        cpuset_cpus=query.get("cpusetcpus"),
        cpuset_mems=query.get("cpusetmems"),
        cgroup_parent=query.get("cgroupparent"),
        shm_size=query.integer("shmsize", 0) or 0,
        ulimits=tuple(_ulimit(each) for each in ulimits),
        network_mode=query.get("networkmode") or "default",
        extra_hosts=_extra_hosts(query),
    )


def _extra_hosts(query: Query) -> tuple[str, ...]:
    """The CLI sends one for each; others send a comma between them."""
    return tuple(part for text in query.all("extrahosts") for part in text.split(",") if part)


def _ulimit(raw: dict[str, Any]) -> Ulimit:
    values = {name.lower(): value for name, value in raw.items()}
    name, soft, hard = values.get("name"), values.get("soft", 0), values.get("hard", 0)
    if not isinstance(name, str) or type(soft) is not int or type(hard) is not int:
        raise InvalidArgument(f"error reading ulimit settings: {str(raw)[:200]}")
    return Ulimit(name=name, soft=soft, hard=hard)


def _json(query: Query, name: str, kind: type[T], what: str) -> T:
    """A parameter that holds JSON; empty when it is not there, or null."""
    text = query.get(name)
    if not text or text == "null":
        return kind()
    try:
        return msgspec.json.decode(text, type=kind)
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidArgument(f"{what}: {name}: {error}") from None


def _header(headers: Mapping[str, str], name: str, kind: type[T]) -> T:
    """What a header holds as base64 of JSON; what cannot be read counts as nothing (as dockerd has it)."""
    text = headers.get(name, "")
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_") if text else b""
        return msgspec.json.decode(data, type=kind) if data else kind()
    except (msgspec.DecodeError, binascii.Error, ValueError, RecursionError):
        return kind()


def _secrets(headers: Mapping[str, str]) -> dict[str, str]:
    """`X-Build-Secrets`: base64url of JSON, names to base64 values. (The CLI has `HttpHeaders` in its settings.)"""
    return _header(headers, "x-build-secrets", dict[str, str])


def _bytes(name: str, value: str) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidArgument(f"X-Build-Secrets: {name[:100]}: not base64") from None
