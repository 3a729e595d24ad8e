"""Mounts of a workload."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.platform.domain.facts import Facts
from services.platform.domain.mounts import mounts, root_propagation, tmpfs_options
from shared.contracts.container import BindOptions, MountPoint, MountRequest, TmpfsOptions
from shared.contracts.platform import CreateRequest, Isolation, Process
from shared.errors import InvalidArgument

FACTS = Facts(init_path="/usr/bin/tini-static")


def made(facts: Facts = FACTS, shm: str = "", privileged: bool = False, **fields: Any) -> dict[str, dict[str, Any]]:
    request = CreateRequest(id="c", rootfs=(), process=Process(args=("x",), privileged=privileged), **fields)
    return {mount["destination"]: mount for mount in mounts(request, facts, shm)}


def bind(place: str, **fields: Any) -> MountPoint:
    return MountPoint(type="bind", source="/host", destination=place, **fields)


def test_the_default_mounts_are_dockers() -> None:
    assert list(made()) == ["/proc", "/dev", "/dev/pts", "/sys", "/sys/fs/cgroup", "/dev/mqueue", "/dev/shm"]
    assert "ro" in made()["/sys"]["options"]
    assert "ro" in made()["/sys/fs/cgroup"]["options"]
    assert f"size={64 << 20}" in made()["/dev/shm"]["options"]


def test_privileged_may_write_to_sys() -> None:
    assert "ro" not in made(privileged=True)["/sys"]["options"]
    assert "ro" not in made(privileged=True)["/sys/fs/cgroup"]["options"]


def test_a_users_mount_replaces_the_default_one() -> None:
    found = made(mounts=(bind("/dev/shm"),))
    assert found["/dev/shm"]["source"] == "/host"
    assert set(made(mounts=(bind("/dev"),))) == {"/proc", "/sys", "/sys/fs/cgroup", "/dev"}


def test_outer_mounts_come_first() -> None:
    found = list(made(mounts=(bind("/a/b/c"), bind("/a")), tmpfs={"/a/b": ""}))
    assert found[-3:] == ["/a", "/a/b", "/a/b/c"]


def test_files_of_the_engine_give_way_to_the_users() -> None:
    files = {"/etc/hosts": "/run/hosts", "/etc/hostname": "/run/hostname"}
    found = made(files=files, mounts=(bind("/etc/hosts"),), readonly_rootfs=True)
    assert found["/etc/hosts"]["source"] == "/host"
    assert found["/etc/hostname"]["options"] == ["rbind", "rprivate", "ro"]


def test_a_read_only_root_keeps_what_programs_write_to() -> None:
    found = made(readonly_rootfs=True)
    assert "ro" not in found["/dev/shm"]["options"]
    assert found["/sys"]["options"].count("ro") == 1


@pytest.mark.parametrize(
    ("fields", "options"),
    [
        ({}, ["rbind", "rprivate"]),
        ({"rw": False}, ["rbind", "rro", "rprivate"]),
        ({"propagation": "rslave"}, ["rbind", "rslave"]),
        ({"spec": MountRequest(bind_options=BindOptions(non_recursive=True))}, ["bind", "rprivate"]),
        (
            {"rw": False, "spec": MountRequest(bind_options=BindOptions(read_only_non_recursive=True))},
            ["rbind", "ro", "rprivate"],
        ),
    ],
)
def test_options_of_a_bind(fields: dict[str, Any], options: list[str]) -> None:
    assert made(mounts=(bind("/x", **fields),))["/x"]["options"] == options


def test_an_old_kernel_knows_no_recursive_read_only() -> None:
    assert made(Facts(kernel=(5, 10)), mounts=(bind("/x", rw=False),))["/x"]["options"][1] == "ro"


def test_a_propagation_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="invalid propagation mode: sideways"):
        made(mounts=(bind("/x", propagation="sideways"),))


def test_tmpfs_by_mount_request() -> None:
    options = TmpfsOptions(size_bytes=5, mode=0o700, options=(("exec",), ("uid", "7")))
    point = MountPoint(type="tmpfs", destination="/t", rw=False, spec=MountRequest(tmpfs_options=options))
    assert made(mounts=(point,))["/t"]["options"] == [
        "nosuid", "nodev", "rprivate", "ro", "mode=700", "size=5", "exec", "uid=7",
    ]  # fmt: skip


@pytest.mark.parametrize(("ipc", "source"), [("host", "/dev/shm"), ("/proc/1/ns/ipc", "/run/shm/x")])
def test_shared_memory_of_others(ipc: str, source: str) -> None:
    found = made(isolation=Isolation(ipc=ipc), shm="" if ipc == "host" else source)
    assert found["/dev/shm"]["type"] == "bind"
    assert found["/dev/shm"]["source"] == source


def test_without_ipc_there_is_no_shared_memory() -> None:
    assert "/dev/shm" not in made(isolation=Isolation(ipc="none"))


def test_init_is_mounted_where_docker_has_it() -> None:
    assert made(init=True)["/sbin/docker-init"]["source"] == "/usr/bin/tini-static"
    with pytest.raises(InvalidArgument, match="docker-init"):
        made(Facts(), init=True)


def test_options_of_tmpfs_replace_what_they_contradict() -> None:
    assert tmpfs_options(()) == ("noexec", "nosuid", "nodev", "rprivate")
    assert tmpfs_options(("exec", "size=1m", "size=2m", "ro", "rw")) == (
        "nosuid", "nodev", "rprivate", "exec", "size=2m", "rw",
    )  # fmt: skip


@pytest.mark.parametrize(("word", "text"), [("foo=bar", '["foo" "bar"]'), ("foo", '["foo"]'), ("", '[""]')])
def test_options_that_tmpfs_lacks_are_refused(word: str, text: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        tmpfs_options((word,))
    assert caught.value.message == f"invalid tmpfs option {text}"


@given(st.lists(st.sampled_from(("ro", "rw", "exec", "noexec", "suid", "nosuid", "dev", "nodev", "size=1", "size=2"))))
def test_no_option_stands_twice_or_against_another(words: list[str]) -> None:
    merged = tmpfs_options(words)
    names = [word.partition("=")[0] for word in merged]
    assert len(set(names)) == len(names)
    for one, other in (("ro", "rw"), ("exec", "noexec"), ("suid", "nosuid"), ("dev", "nodev")):
        assert not {one, other} <= set(names)
    assert all(word in merged for word in words[-1:])


@pytest.mark.parametrize(
    ("propagation", "root"), [("", ""), ("rprivate", ""), ("rshared", "shared"), ("slave", "rslave")]
)
def test_the_root_passes_on_what_its_mounts_need(propagation: str, root: str) -> None:
    assert root_propagation([bind("/x", propagation=propagation)]) == root
