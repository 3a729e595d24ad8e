"""The image configuration (OCI image-spec, `config.md`, with Docker's additions) and the contract's `Image`."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import msgspec

from shared.contracts.common import Platform
from shared.contracts.container import ContainerConfig, Healthcheck
from shared.contracts.image_store import HistoryEntry, Image
from shared.digest import chain_ids, check_sha256, digest_of
from shared.errors import InvalidArgument

LONGEST = 8 << 20
"""Bytes of a configuration, manifest or index that are read at most."""
MOST_LAYERS = 500
Text = str | None
Words = list[str] | None


class _Struct(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """JSON as others wrote it: unknown fields are ignored, null stands for left out."""


class _Health(_Struct, frozen=True, rename="pascal"):
    test: Words = None
    interval: int | None = None
    timeout: int | None = None
    start_period: int | None = None
    start_interval: int | None = None
    retries: int | None = None


class _Config(_Struct, frozen=True, rename="pascal"):
    hostname: Text = None
    domainname: Text = None
    user: Text = None
    image: Text = None
    tty: bool | None = None
    open_stdin: bool | None = None
    stdin_once: bool | None = None
    attach_stdin: bool | None = None
    attach_stdout: bool | None = None
    attach_stderr: bool | None = None
    exposed_ports: dict[str, dict[str, Any] | None] | None = None
    env: Words = None
    entrypoint: list[str] | str | None = None
    cmd: list[str] | str | None = None
    healthcheck: _Health | None = None
    args_escaped: bool | None = None
    volumes: dict[str, dict[str, Any] | None] | None = None
    working_dir: Text = None
    on_build: Words = None
    labels: dict[str, str] | None = None
    stop_signal: Text = None
    stop_timeout: int | None = None
    shell: Words = None


class _RootFs(_Struct, frozen=True):
    type: Text = None
    diff_ids: Words = None


class _History(_Struct, frozen=True):
    created: Text = None
    created_by: Text = None
    author: Text = None
    comment: Text = None
    empty_layer: bool | None = None


class _Document(_Struct, frozen=True):
    architecture: Text = None
    os: Text = None
    variant: Text = None
    os_version: Text = msgspec.field(default=None, name="os.version")
    created: Text = None
    author: Text = None
    comment: Text = None
    docker_version: Text = None
    config: _Config | None = None
    rootfs: _RootFs | None = None
    history: list[_History] | None = None


class _Made(_Document, frozen=True):
    """A document written here: with what Docker notes of the container it was made from."""

    container: Text = None
    container_config: _Config | None = None


_DECODER = msgspec.json.Decoder(_Document)


def parse(document: bytes) -> Image:
    """The image a configuration describes: id, platform, history, chain; sizes are not known here.

    Raises `InvalidArgument` for what is no configuration of a layered image.
    """
    try:
        raw = _DECODER.decode(document)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidArgument(f"invalid image JSON: {error}") from None
    if raw.rootfs is None:
        raise InvalidArgument("invalid image JSON, no RootFS key")
    diff_ids = tuple(check_sha256(each, "diff_ids") for each in raw.rootfs.diff_ids or ())
    if len(diff_ids) > MOST_LAYERS:
        raise InvalidArgument(f"invalid image: {len(diff_ids)} layers, at most {MOST_LAYERS} are possible")
    return Image(
        id=digest_of(document),
        comment=raw.comment or "",
        created=raw.created or "",
        created_ns=nanoseconds(raw.created or ""),
        author=raw.author or "",
        docker_version=raw.docker_version or "",
        config=_container(raw.config or _Config()),
        platform=Platform(
            os=raw.os or "linux",
            architecture=raw.architecture or "",
            variant=raw.variant or "",
            os_version=raw.os_version or "",
        ),
        diff_ids=diff_ids,
        chain_id=(chain_ids(diff_ids) or ("",))[-1],
        history=tuple(_history(entry) for entry in raw.history or ()),
    )


def encode(image: Image, container: str = "", container_config: ContainerConfig | None = None) -> bytes:
    """The configuration document of an image made here; its digest becomes the image's id."""
    return msgspec.json.encode(
        _Made(
            architecture=image.platform.architecture,
            os=image.platform.os,
            variant=image.platform.variant or None,
            os_version=image.platform.os_version or None,
            created=image.created or None,
            author=image.author or None,
            comment=image.comment or None,
            docker_version=image.docker_version or None,
            config=_raw(image.config),
            rootfs=_RootFs(type="layers", diff_ids=list(image.diff_ids)),
            history=[_raw_history(entry) for entry in image.history],
            container=container or None,
            container_config=None if container_config is None else _raw(container_config),
        )
    )


def with_sizes(image: Image, sizes: tuple[int, ...]) -> Image:
    """The image with its layers' sizes: each entry of the history that made a layer shows that layer's."""
    rest = iter(sizes)
    history = tuple(
        entry if entry.empty_layer else msgspec.structs.replace(entry, size=next(rest, 0)) for entry in image.history
    )
    return msgspec.structs.replace(image, size=sum(sizes), history=history)


_TIME = re.compile(r"(\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d)(?:\.(\d{1,9})\d*)?([Zz]|[+-]\d\d:\d\d)\Z")


def nanoseconds(created: str) -> int:
    """Nanoseconds since the epoch of an RFC 3339 time; 0 for none, or what is none."""
    match = _TIME.match(created)
    if match is None:
        return 0
    try:
        moment = datetime.fromisoformat(match[1].upper() + match[3].upper().replace("Z", "+00:00"))
    except ValueError:
        return 0
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    whole = since.days * 86_400 + since.seconds
    return max(0, whole * 1_000_000_000 + int((match[2] or "0").ljust(9, "0")))


def _words(value: list[str] | str | None) -> tuple[str, ...] | None:
    if value is None:
        return None
    return (value,) if isinstance(value, str) else tuple(value)


def _container(raw: _Config) -> ContainerConfig:
    return ContainerConfig(
        hostname=raw.hostname or "",
        domainname=raw.domainname or "",
        user=raw.user or "",
        image=raw.image or "",
        attach_stdin=bool(raw.attach_stdin),
        attach_stdout=bool(raw.attach_stdout),
        attach_stderr=bool(raw.attach_stderr),
        exposed_ports=None if raw.exposed_ports is None else {port: {} for port in raw.exposed_ports},
        tty=bool(raw.tty),
        open_stdin=bool(raw.open_stdin),
        stdin_once=bool(raw.stdin_once),
        env=tuple(raw.env or ()),
        cmd=_words(raw.cmd),
        healthcheck=None if raw.healthcheck is None else _health(raw.healthcheck),
        args_escaped=bool(raw.args_escaped),
        volumes=None if raw.volumes is None else {path: {} for path in raw.volumes},
        working_dir=raw.working_dir or "",
        entrypoint=_words(raw.entrypoint),
        on_build=_words(raw.on_build),
        labels=raw.labels or {},
        stop_signal=raw.stop_signal or "",
        stop_timeout=raw.stop_timeout,
        shell=_words(raw.shell),
    )


def _health(raw: _Health) -> Healthcheck:
    return Healthcheck(
        test=tuple(raw.test or ()),
        interval=raw.interval or 0,
        timeout=raw.timeout or 0,
        start_period=raw.start_period or 0,
        start_interval=raw.start_interval or 0,
        retries=raw.retries or 0,
    )


def _history(raw: _History) -> HistoryEntry:
    return HistoryEntry(
        created=raw.created or "",
        created_by=raw.created_by or "",
        author=raw.author or "",
        comment=raw.comment or "",
        empty_layer=bool(raw.empty_layer),
    )


def _raw(config: ContainerConfig) -> _Config:
    health = config.healthcheck
    return _Config(
        hostname=config.hostname or None,
        domainname=config.domainname or None,
        user=config.user or None,
        attach_stdin=config.attach_stdin or None,
        attach_stdout=config.attach_stdout or None,
        attach_stderr=config.attach_stderr or None,
        tty=config.tty or None,
        open_stdin=config.open_stdin or None,
        stdin_once=config.stdin_once or None,
        args_escaped=config.args_escaped or None,
        image=config.image or None,
        exposed_ports={port: {} for port in config.exposed_ports} if config.exposed_ports else None,
        env=list(config.env) or None,
        entrypoint=None if config.entrypoint is None else list(config.entrypoint),
        cmd=None if config.cmd is None else list(config.cmd),
        healthcheck=None if health is None else _raw_health(health),
        volumes={path: {} for path in config.volumes} if config.volumes else None,
        working_dir=config.working_dir or None,
        on_build=list(config.on_build) if config.on_build else None,
        labels=config.labels or None,
        stop_signal=config.stop_signal or None,
        stop_timeout=config.stop_timeout,
        shell=list(config.shell) if config.shell else None,
    )


def _raw_health(health: Healthcheck) -> _Health:
    return _Health(
        test=list(health.test),
        interval=health.interval or None,
        timeout=health.timeout or None,
        start_period=health.start_period or None,
        start_interval=health.start_interval or None,
        retries=health.retries or None,
    )


def _raw_history(entry: HistoryEntry) -> _History:
    return _History(
        created=entry.created or None,
        created_by=entry.created_by or None,
        author=entry.author or None,
        comment=entry.comment or None,
        empty_layer=entry.empty_layer or None,
    )
