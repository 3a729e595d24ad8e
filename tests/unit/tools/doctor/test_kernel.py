import pytest

from shared.config import Settings
from tools.doctor import kernel
from tools.doctor.findings import Level


def test_this_host_can_run_containers():
    found = list(kernel.check(Settings()))
    assert [finding for finding in found if finding.level is Level.WRONG] == []
    assert len({finding.subject for finding in found}) == len(found)


@pytest.mark.parametrize(
    ("release", "level"), [("6.12.1+deb13-amd64", Level.OK), ("5.10.0-8", Level.OK), ("4.19.0", Level.WRONG)]
)
def test_versions(release, level):
    assert kernel.judge_version(release).level is level


def test_lacking_capabilities_are_named():
    assert kernel.judge_capabilities(0xFFFFFFFFFF).level is Level.OK
    without_admin = kernel.judge_capabilities(0xFFFFFFFFFF & ~(1 << 21))
    assert without_admin.level is Level.WRONG
    assert without_admin.text == "lacking CAP_SYS_ADMIN"


def test_lacking_namespaces_are_named():
    assert kernel.judge_namespaces(["cgroup", "ipc", "mnt", "net", "pid", "uts", "user"]).level is Level.OK
    assert "net" in kernel.judge_namespaces(["cgroup", "ipc", "mnt", "pid", "uts"]).text


@pytest.mark.parametrize(
    ("listing", "loadable", "level"),
    [("nodev\toverlay\n", False, Level.OK), ("ext4\n", True, Level.OK), ("ext4\n", False, Level.WRONG)],
)
def test_overlayfs_is_there_or_can_be_loaded(listing, loadable, level):
    assert kernel.judge_filesystems(listing, loadable).level is level


@pytest.mark.parametrize(
    ("mode", "controllers", "level"),
    [
        ("v2", {"cpu", "memory", "pids", "io"}, Level.OK),
        ("hybrid", {"cpu", "memory", "pids"}, Level.WARNING),
        ("v2", {"cpu", "pids"}, Level.WARNING),
        ("none", set(), Level.WRONG),
    ],
)
def test_control_groups(mode, controllers, level):
    finding = kernel.judge_cgroups(mode, controllers)
    assert finding.level is level
    assert bool(finding.remedy) == (level is not Level.OK)


def test_seccomp_files_nftables_and_devices():
    assert kernel.judge_seccomp("Seccomp:\t0\n").level is Level.OK
    assert kernel.judge_seccomp("Name: x\n").level is Level.WRONG
    assert kernel.judge_files(1024).level is Level.WARNING
    assert kernel.judge_files(-1).level is Level.OK
    assert kernel.judge_nftables("libnftables.so.1: cannot open").level is Level.WRONG
    assert kernel.judge_device("/dev/net/tun", False).level is Level.WARNING
