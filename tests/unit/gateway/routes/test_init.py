"""Nothing that a client may send is ignored: parameters and bodies of the swagger files against what is read here."""

from __future__ import annotations

from collections.abc import Iterator
from types import CodeType, FunctionType, ModuleType
from typing import Any

import pytest

from gateway.http.router import Route
from gateway.routes.table import ROUTES
from gateway.translate import container_shapes, create
from gateway.translate import network as networks
from gateway.translate import volume as volumes
from gateway.translate.shape import Shape
from tools.docker_api import swagger
from tools.docker_api.swagger import Operation, Schema

BY_NAME: dict[str, Route] = {}
for _route in ROUTES:
    BY_NAME.setdefault(_route.name, _route)
REFUSING = ("Swarm", "Node", "Service", "Task", "Secret", "Config", "Plugin")
"""Tags of which every request gets the same answer, whatever its parameters."""
WITHOUT_EFFECT = {
    ("ImageList", "digests"): "digests are always shown, as in dockerd",
    ("VolumeUpdate", "version"): "refused outside a swarm",
    ("BuildPrune", "min-free-space"): "what cache mounts may take is said by the other limits",
    ("ImageBuild", "Content-type"): "how an archive is compressed is seen by its bytes",
}


def words(function: FunctionType, seen: set[FunctionType]) -> Iterator[str]:
    """All texts in a function and in the gateway's functions that it mentions."""
    if function in seen:
        return
    seen.add(function)
    for cell in function.__closure__ or ():
        if isinstance(cell.cell_contents, FunctionType):
            yield from words(cell.cell_contents, seen)
    yield from _code(function.__code__, function.__globals__, seen)


def _code(code: CodeType, names: dict[str, Any], seen: set[FunctionType]) -> Iterator[str]:
    for constant in code.co_consts:
        if isinstance(constant, str):
            yield constant
        elif isinstance(constant, tuple | frozenset):
            yield from (each for each in constant if isinstance(each, str))
        elif isinstance(constant, CodeType):
            yield from _code(constant, names, seen)
    for name in code.co_names:
        found = names.get(name)
        modules = [found] if isinstance(found, ModuleType) and found.__name__.startswith("gateway") else []
        for each in (found, *(vars(module).get(other) for module in modules for other in code.co_names)):
            if isinstance(each, FunctionType) and each.__module__.startswith("gateway"):
                yield from words(each, seen)


def unread(operation: Operation) -> list[str]:
    """Parameters of an operation that its handler never asks for."""
    handler: Any = BY_NAME[operation.id].handler
    if handler.__module__.endswith("absent") and "no_build_cache" not in handler.__qualname__:
        return []
    read = set(words(handler, set()))
    headers = [name for name in operation.names("header") if name.lower() not in read]
    return [name for name in operation.names("query") if name not in read] + headers


@pytest.mark.parametrize("version", swagger.VERSIONS)
def test_every_parameter_is_read(version: str) -> None:
    ignored = [
        (operation.id, name)
        for operation in swagger.load(version).operations.values()
        if operation.tag not in REFUSING
        for name in unread(operation)
        if (operation.id, name) not in WITHOUT_EFFECT
    ]
    assert not ignored


def test_every_operation_is_routed() -> None:
    assert set(swagger.load(swagger.VERSIONS[-1]).operations) <= set(BY_NAME)


BODIES: tuple[tuple[Schema | str, Shape[Any]], ...] = (
    ("ContainerConfig", container_shapes.CONFIG),
    ("HealthConfig", container_shapes.HEALTHCHECK),
    ("HostConfig", container_shapes.HOST_CONFIG),
    ("Mount", container_shapes.MOUNT_REQUEST),
    ("EndpointSettings", container_shapes.ENDPOINT),
    ("EndpointIPAMConfig", container_shapes.ENDPOINT_IPAM),
    ("PortBinding", container_shapes.PORT_BINDING),
    ("IPAM", networks.IPAM_SHAPE),
    ("IPAMConfig", networks.IPAM_CONFIG),
)
REFUSED_OR_WARNED = {"KernelMemoryTCP", "CpuCount", "CpuPercent", "IOMaximumIOps", "IOMaximumBandwidth"}
"""Fields of `HostConfig` that `by_version.discarded` judges."""


@pytest.mark.parametrize("version", swagger.VERSIONS)
@pytest.mark.parametrize(("definition", "shape"), BODIES)
def test_every_field_of_a_body_is_read(version: str, definition: str, shape: Shape[Any]) -> None:
    api = swagger.load(version)
    ignored = {
        name
        for name in api.resolve({"$ref": f"#/definitions/{definition}"})["properties"]
        if not shape.knows(name) and name not in REFUSED_OR_WARNED
    }
    # A mount of type image is refused as a whole.
    assert ignored <= ({"ImageOptions"} if definition == "Mount" else set())


@pytest.mark.parametrize("version", swagger.VERSIONS)
def test_every_field_of_other_bodies_is_read(version: str) -> None:
    api = swagger.load(version)

    def ignored(operation: str, shape: Shape[Any]) -> set[str]:
        body = api.operations[operation].body
        assert body is not None
        return {name for name in api.resolve(body)["properties"] if not shape.knows(name)}

    assert not ignored("ContainerExec", create.EXEC)
    assert not ignored("NetworkCreate", networks.CREATE)
    assert ignored("VolumeCreate", volumes.CREATE) == {"ClusterVolumeSpec"}  # refused outside a swarm
    assert ignored("ContainerCreate", container_shapes.CONFIG) == {"HostConfig", "NetworkingConfig"}  # of their own
