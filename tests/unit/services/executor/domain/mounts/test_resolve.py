from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.executor.domain.mounts.resolve import (
    donors,
    is_anonymous,
    volume_names,
    wanted_mounts,
    with_volume,
    without_recursion,
)
from shared.contracts.container import ContainerConfig, HostConfig, MountPoint, MountRequest, VolumeOptions
from shared.contracts.volume import VolumeSpec
from shared.errors import InvalidArgument

NONE = ContainerConfig()


def destinations(asked: HostConfig, config: ContainerConfig = NONE) -> list[str]:
    return [wanted.point.destination for wanted in wanted_mounts(asked, config, {})]


def test_volumes_of_the_image_where_nothing_else_is() -> None:
    config = ContainerConfig(volumes={"/data": {}, "/logs/": {}, "/tmp": {}})
    wanted = wanted_mounts(HostConfig(binds=("/host:/data",), tmpfs={"/tmp": ""}), config, {})
    assert [(each.point.destination, each.point.type) for each in wanted] == [("/data", "bind"), ("/logs", "volume")]
    assert wanted[1].point.copy_up


def test_a_mount_brings_its_volumes_options() -> None:
    options = VolumeOptions(labels={"a": "b"}, driver_options={"o": "bind"}, driver_name="local")
    request = MountRequest(type="volume", source="v", target="/v", volume_options=options)
    wanted = wanted_mounts(HostConfig(mounts=(request,)), NONE, {})[0]
    assert (wanted.labels, wanted.driver_options, wanted.point.driver) == ({"a": "b"}, {"o": "bind"}, "local")


def test_a_read_only_bind_without_its_submounts() -> None:
    asked = HostConfig(binds=("/a:/x:ro", "/a:/y"), mounts=(MountRequest(type="tmpfs", target="/z"),))
    ro, rw, tmpfs = wanted_mounts(asked, NONE, {})
    changed = without_recursion(ro).point.spec
    assert changed is not None
    assert changed.bind_options is not None
    assert changed.bind_options.read_only_non_recursive
    assert without_recursion(rw) is rw
    assert without_recursion(tmpfs) is tmpfs


def test_volumes_of_another_container() -> None:
    theirs = (
        MountPoint(type="volume", destination="/data", name="v", source="/volumes/v", copy_up=True),
        MountPoint(type="bind", destination="/etc/x", source="/x"),
    )
    asked = HostConfig(volumes_from=("db:ro",), binds=("/mine:/etc/x",))
    assert donors(asked) == ("db",)
    wanted = {each.point.destination: each.point for each in wanted_mounts(asked, NONE, {"db": theirs})}
    assert (wanted["/data"].name, wanted["/data"].rw, wanted["/data"].copy_up) == ("v", False, False)
    assert wanted["/etc/x"].source == "/mine"


@pytest.mark.parametrize(
    "asked",
    [
        HostConfig(binds=("/a:/x", "/b:/x/")),
        HostConfig(binds=("/a:/x",), tmpfs={"/x": ""}),
        HostConfig(binds=("/a:/x",), mounts=(MountRequest(type="tmpfs", target="/x"),)),
        HostConfig(mounts=(MountRequest(type="tmpfs", target="/x"), MountRequest(type="tmpfs", target="/x"))),
    ],
)
def test_one_destination_twice(asked: HostConfig) -> None:
    with pytest.raises(InvalidArgument, match="Duplicate mount point: /x"):
        destinations(asked)


def test_with_volume() -> None:
    point = MountPoint(type="volume", destination="/d", spec=MountRequest(type="volume", target="/d"))
    made = with_volume(point, VolumeSpec(name="v", driver="local", mountpoint="/volumes/v"))
    assert (made.name, made.driver, made.source, made.mode) == ("v", "local", "/volumes/v", "z")
    assert with_volume(point, VolumeSpec(name="v", driver="nfs")).mode == ""
    of_the_image = MountPoint(type="volume", destination="/d")
    assert with_volume(of_the_image, VolumeSpec(name="v", driver="local")).mode == ""


def test_whose_volumes_they_are() -> None:
    named = MountPoint(type="volume", destination="/a", name="v", spec=MountRequest(source="v", target="/a"))
    unnamed = MountPoint(type="volume", destination="/b", name="f" * 64, spec=MountRequest(target="/b"))
    of_image = MountPoint(type="volume", destination="/c", name="e" * 64)
    bind = MountPoint(type="bind", destination="/d", source="/x")
    points = (named, unnamed, of_image, bind)
    assert [is_anonymous(point) for point in points] == [False, True, True, False]
    assert volume_names((*points, named)) == ("v", "f" * 64, "e" * 64)


paths = st.sampled_from(["/a", "/b", "/a/b", "/c/"])


@given(st.lists(paths), st.lists(paths, unique_by=lambda path: path.rstrip("/")), st.sets(paths))
def test_each_destination_has_one_mount(binds: list[str], mounts: list[str], volumes: set[str]) -> None:
    asked = HostConfig(
        binds=tuple(f"v:{path}" for path in binds),
        mounts=tuple(MountRequest(type="tmpfs", target=path) for path in mounts),
    )
    try:
        found = destinations(asked, ContainerConfig(volumes={path: {} for path in volumes}))
    except InvalidArgument:
        clean = [path.rstrip("/") for path in (*binds, *mounts)]
        assert len(set(clean)) < len(clean)
        return
    assert len(set(found)) == len(found)
    assert set(found) == {path.rstrip("/") for path in (*binds, *mounts, *volumes)}
