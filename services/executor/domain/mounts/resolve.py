"""From what a container asks for to its mount points."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import msgspec

from shared.contracts.container import BindOptions, ContainerConfig, HostConfig, MountPoint, VolumeOptions
from shared.contracts.volume import VolumeSpec
from shared.errors import InvalidArgument

from ..validation.config import clean
from .parse import is_writable, parse_bind, parse_mount, parse_volumes_from


@dataclass(frozen=True)
class Wanted:
    """A mount point, and for a volume what it is made with when it is not there."""

    point: MountPoint
    driver_options: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)


def donors(asked: HostConfig) -> tuple[str, ...]:
    """The containers whose volumes are asked for, as the client called them."""
    return tuple(parse_volumes_from(text)[0] for text in asked.volumes_from)


def wanted_mounts(
    asked: HostConfig, config: ContainerConfig, donated: Mapping[str, tuple[MountPoint, ...]]
) -> tuple[Wanted, ...]:
    """All mount points, one for each destination, later sources over earlier ones.

    The order is dockerd's: volumes of other containers, `-v`, `--mount`, at last an anonymous volume for each
    volume of the image that nothing else covers. Two `-v` or `--mount` on one destination are an error.
    """
    found: dict[str, Wanted] = {}
    for text in asked.volumes_from:
        name, mode = parse_volumes_from(text)
        for point in donated[name]:
            found[point.destination] = Wanted(_borrowed(point, mode))
    explicit: set[str] = set()
    for wanted, target in (*_binds(asked), *_mounts(asked)):
        destination = wanted.point.destination
        if destination in explicit:
            raise InvalidArgument(f"Duplicate mount point: {target}")
        explicit.add(destination)
        found[destination] = wanted
    tmpfs = {clean(target) for target in asked.tmpfs}
    for destination in map(clean, config.volumes or ()):
        if destination not in found and destination not in tmpfs and destination != "/":
            point = MountPoint(type="volume", destination=destination, driver=asked.volume_driver, copy_up=True)
            found[destination] = Wanted(point)
    return tuple(found.values())


def without_recursion(wanted: Wanted) -> Wanted:
    """A read-only bind whose submounts stay as they are: what clients before API 1.44 expect."""
    point = wanted.point
    if point.type != "bind" or point.rw or point.spec is None:
        return wanted
    options = msgspec.structs.replace(point.spec.bind_options or BindOptions(), read_only_non_recursive=True)
    spec = msgspec.structs.replace(point.spec, bind_options=options)
    return Wanted(msgspec.structs.replace(point, spec=spec), wanted.driver_options, wanted.labels)


def _borrowed(point: MountPoint, mode: str) -> MountPoint:
    return msgspec.structs.replace(point, rw=point.rw and is_writable(mode), mode="", copy_up=False)


def _binds(asked: HostConfig) -> Iterable[tuple[Wanted, str]]:
    tmpfs = {clean(target) for target in asked.tmpfs}
    for raw in asked.binds:
        point = parse_bind(raw, asked.volume_driver)
        if point.destination in tmpfs:
            raise InvalidArgument(f"Duplicate mount point: {point.destination}")
        yield Wanted(point), point.destination


def _mounts(asked: HostConfig) -> Iterable[tuple[Wanted, str]]:
    for request in asked.mounts:
        options = request.volume_options or VolumeOptions()
        yield Wanted(parse_mount(request), options.driver_options, options.labels), request.target


def with_names(wanted: Iterable[Wanted], name: Callable[[], str]) -> tuple[tuple[Wanted, ...], tuple[str, ...]]:
    """Volumes that nobody named get names; which these are."""
    named, made_up = [], []
    for each in wanted:
        if each.point.type == "volume" and not each.point.name and not each.point.source:
            made_up.append(name())
            each = Wanted(msgspec.structs.replace(each.point, name=made_up[-1]), each.driver_options, each.labels)
        named.append(each)
    return tuple(named), tuple(made_up)


def with_volume(point: MountPoint, volume: VolumeSpec) -> MountPoint:
    """A mount point of type volume, now that the volume is there.

    As Docker shows it, one that was asked for by `-v NAME:` or `--mount` has the mode `z`, an image's volume none.
    """
    mode = point.mode or ("z" if volume.driver == "local" and point.spec else "")
    return msgspec.structs.replace(point, name=volume.name, driver=volume.driver, source=volume.mountpoint, mode=mode)


def images(points: Iterable[MountPoint]) -> dict[str, str]:
    """The ids of the images among mount points, by destination."""
    return {point.destination: point.spec.source for point in points if point.type == "image" and point.spec}


def with_image(point: MountPoint, image_id: str) -> MountPoint:
    """A mount point of type image, now that it is known which one that is."""
    assert point.spec is not None
    return msgspec.structs.replace(point, spec=msgspec.structs.replace(point.spec, source=image_id))


def volume_names(points: Iterable[MountPoint]) -> tuple[str, ...]:
    """The volumes among mount points, each once."""
    return tuple(dict.fromkeys(point.name for point in points if point.type == "volume" and point.name))


def is_anonymous(point: MountPoint) -> bool:
    """Whether `docker rm -v` takes this volume along (unless another container has it too): nobody named it."""
    return point.type == "volume" and bool(point.name) and not (point.spec and point.spec.source)
