"""Volumes as Docker shows them."""

from __future__ import annotations

from typing import Any

from shared.clock import rfc3339
from shared.contracts.volume import CreateRequest, VolumeSpec
from shared.errors import InvalidArgument

from .shape import Shape

CREATE = Shape(CreateRequest, "VolumeCreateRequest", names={"options": "DriverOpts"})


def show(spec: VolumeSpec) -> dict[str, Any]:
    """One volume, as inspect and list have it."""
    result: dict[str, Any] = {
        "CreatedAt": rfc3339(spec.created // 1_000_000_000 * 1_000_000_000),
        "Driver": spec.driver,
        "Labels": _labels(spec),
        "Mountpoint": spec.mountpoint,
        "Name": spec.name,
        "Options": spec.options or None,
        "Scope": spec.scope,
    }
    if spec.status:
        result["Status"] = spec.status
    return result


ANONYMOUS = "com.docker.volume.anonymous"
"""Docker's mark of a volume whose name the engine made up."""


def _labels(spec: VolumeSpec) -> dict[str, str] | None:
    marked = {ANONYMOUS: "", **spec.labels} if spec.anonymous else spec.labels
    return marked or None


def create_request(data: dict[str, Any] | None) -> CreateRequest:
    """The volume service's request; raises `InvalidArgument`."""
    if data is None:
        raise InvalidArgument("got EOF while reading request body")
    return CREATE.load({key: value for key, value in data.items() if value != ""})
