"""The user's configuration completed by the image's (dockerd's `merge` and `getEntrypointAndArgs`)."""

from __future__ import annotations

from typing import Any

import msgspec

from shared.contracts.container import ContainerConfig, Healthcheck
from shared.errors import InvalidArgument


def with_image(user: ContainerConfig, image: ContainerConfig) -> ContainerConfig:
    """What the container's `Config` becomes; the user's word wins field by field, lists of names are joined."""
    entrypoint, cmd = _command(user, image)
    return msgspec.structs.replace(
        user,
        user=user.user or image.user,
        exposed_ports=_joined(user.exposed_ports, image.exposed_ports),
        env=_environment(user.env, image.env),
        labels={**image.labels, **user.labels},
        entrypoint=entrypoint,
        cmd=cmd,
        healthcheck=_healthcheck(user.healthcheck, image.healthcheck),
        working_dir=user.working_dir or image.working_dir,
        volumes=_joined(user.volumes, image.volumes),
        stop_signal=user.stop_signal or image.stop_signal,
    )


def program(config: ContainerConfig) -> tuple[str, tuple[str, ...]]:
    """Path and arguments of the process to run; `InvalidArgument` when there is none."""
    words = (*(config.entrypoint or ()), *(config.cmd or ()))
    if not words:
        raise InvalidArgument("no command specified")
    return words[0], words[1:]


def _command(user: ContainerConfig, image: ContainerConfig) -> tuple[tuple[str, ...] | None, tuple[str, ...] | None]:
    """An entrypoint of the user's drops the image's command; `[""]` clears the image's entrypoint."""
    entrypoint, cmd = user.entrypoint, user.cmd
    if not entrypoint:
        cmd = cmd or image.cmd
        if entrypoint is None:
            entrypoint = image.entrypoint
    return (None if entrypoint == ("",) else entrypoint), cmd


def _environment(user: tuple[str, ...], image: tuple[str, ...]) -> tuple[str, ...]:
    """The user's variables first, then those of the image that the user did not name."""
    named = {variable.partition("=")[0] for variable in user}
    return (*user, *(variable for variable in image if variable.partition("=")[0] not in named))


def _joined(
    user: dict[str, dict[str, Any]] | None, image: dict[str, dict[str, Any]] | None
) -> dict[str, dict[str, Any]] | None:
    if not user:
        return image
    return {**user, **{key: value for key, value in (image or {}).items() if key not in user}}


def _healthcheck(user: Healthcheck | None, image: Healthcheck | None) -> Healthcheck | None:
    if user is None or image is None:
        return user or image
    return Healthcheck(
        test=user.test or image.test,
        interval=user.interval or image.interval,
        timeout=user.timeout or image.timeout,
        start_period=user.start_period or image.start_period,
        start_interval=user.start_interval or image.start_interval,
        retries=user.retries or image.retries,
    )
