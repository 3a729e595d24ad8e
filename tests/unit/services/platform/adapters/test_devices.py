"""Device nodes found on the host."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from services.platform.adapters import devices
from shared.contracts.container import DeviceMapping, Resources
from shared.contracts.platform import CreateRequest, Process
from shared.errors import InvalidArgument


def wanted(*mappings: DeviceMapping, privileged: bool = False) -> CreateRequest:
    process = Process(args=("x",), privileged=privileged)
    return CreateRequest(id="c", rootfs=(), process=process, resources=Resources(devices=mappings))


def test_a_node_is_mapped() -> None:
    (node,) = devices.requested(wanted(DeviceMapping(path_on_host="/dev/null", path_in_container="/dev/n")))
    assert (node.path, node.kind, node.major, node.minor, node.access) == ("/dev/n", "c", 1, 3, "rwm")
    assert node.mode & 0o666 == 0o666


def test_links_are_followed_and_the_place_may_be_left_out(directory: Path) -> None:
    (directory / "link").symlink_to("/dev/zero")
    (node,) = devices.requested(wanted(DeviceMapping(path_on_host=str(directory / "link"), cgroup_permissions="r")))
    assert (node.path, node.minor, node.access) == (str(directory / "link"), 5, "r")


def test_a_folder_brings_all_nodes_in_it(directory: Path) -> None:
    (directory / "sub").mkdir()
    os.mknod(directory / "sub/a", 0o20600, os.makedev(1, 7))
    os.mknod(directory / "b", 0o60600, os.makedev(7, 0))
    (directory / "file").touch()
    found = devices.requested(wanted(DeviceMapping(path_on_host=str(directory), path_in_container="/dev/x")))
    assert {(node.path, node.kind) for node in found} == {("/dev/x/sub/a", "c"), ("/dev/x/b", "b")}


@pytest.mark.parametrize(
    ("path", "why"), [("/dev/nope", "no such file or directory"), ("/etc/passwd", "not a device node")]
)
def test_what_is_no_device_is_refused_in_dockers_words(path: str, why: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        devices.requested(wanted(DeviceMapping(path_on_host=path)))
    assert caught.value.message == f'error gathering device information while adding custom device "{path}": {why}'


def test_permissions_are_checked() -> None:
    with pytest.raises(InvalidArgument):
        devices.requested(wanted(DeviceMapping(path_on_host="/dev/null", cgroup_permissions="xyz")))


def test_privileged_gets_the_hosts_nodes_but_those_of_its_own() -> None:
    found = {node.path for node in devices.requested(wanted(privileged=True))}
    assert {"/dev/null", "/dev/zero", "/dev/tty"} <= found
    assert not any(path.startswith(("/dev/pts", "/dev/shm", "/dev/mqueue")) for path in found)


def test_numbers() -> None:
    assert devices.numbers("/dev/null") == (1, 3)
    with pytest.raises(InvalidArgument, match="stat /dev/nope: no such file or directory"):
        devices.numbers("/dev/nope")
