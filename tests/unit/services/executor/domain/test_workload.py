from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.executor.domain.workload import Donor, Parts, create_request, donor_ids, environment, exec_process
from shared.contracts.common import Mount
from shared.contracts.container import (
    ContainerConfig,
    ContainerSpec,
    ContainerStatus,
    HostConfig,
    MountPoint,
    MountRequest,
    TmpfsOptions,
)
from shared.contracts.execs import ExecCreateRequest
from shared.contracts.network import Sandbox

ROOTFS = (Mount(type="overlay", source="overlay"),)
SANDBOX = Sandbox(container_id="c", sandbox_id="s", path="/netns/s", files={"/etc/hosts": "/h", "/etc/hostname": "/n"})


def spec(config: ContainerConfig | None = None, mounts: tuple[MountPoint, ...] = (), **asked: object) -> ContainerSpec:
    return ContainerSpec(
        id="c" * 64, name="web", created=1, config=config or ContainerConfig(hostname="host1"), path="sh",
        args=("-c", "ls"), host_config=HostConfig(**asked), mounts=mounts,  # type: ignore[arg-type]
    )  # fmt: skip


def test_a_plain_container() -> None:
    config = ContainerConfig(hostname="host1", env=("A=1",), working_dir="/w", user="u", tty=True, open_stdin=True)
    request = create_request(spec(config, memory=8 << 20, ipc_mode="private", shm_size=5), Parts(ROOTFS, SANDBOX))
    process = request.process
    assert process.args == ("sh", "-c", "ls")
    assert (process.cwd, process.user, process.tty, process.stdin) == ("/w", "u", True, True)
    assert "HOSTNAME=host1" in process.env
    assert "TERM=xterm" in process.env
    assert (request.rootfs, request.hostname, request.start, request.shm_size) == (ROOTFS, "host1", True, 5)
    assert request.isolation.network == "/netns/s"
    assert (request.isolation.pid, request.isolation.ipc, request.isolation.uts) == ("", "", "")
    assert request.files == SANDBOX.files
    assert request.resources.memory == 8 << 20


def test_modes_of_sharing() -> None:
    shared = spec(network_mode="host", pid_mode="host", ipc_mode="host", uts_mode="host", cgroupns_mode="host")
    request = create_request(shared, Parts(ROOTFS))
    isolation = request.isolation
    assert {isolation.network, isolation.pid, isolation.ipc, isolation.uts, isolation.cgroup} == {"host"}
    assert request.hostname == ""
    for mode, asked in (("none", "none"), ("shareable", "shareable"), ("private", "")):
        assert create_request(spec(ipc_mode=mode), Parts(ROOTFS)).isolation.ipc == asked
    assert create_request(spec(cgroupns_mode="private"), Parts(ROOTFS)).isolation.cgroup == "private"


def test_joining_another_container() -> None:
    donor = Donor(
        spec(ContainerConfig(hostname="donor", domainname="d")),
        ContainerStatus(state="running", pid=42, sandbox_key="/netns/d", hosts_path="/dh"),
    )
    joiner = spec(network_mode="container:d", pid_mode="container:d", ipc_mode="container:d")
    assert donor_ids(joiner) == {"network": "d", "pid": "d", "ipc": "d"}
    request = create_request(joiner, Parts(ROOTFS, donors={"network": donor, "pid": donor, "ipc": donor}))
    assert request.isolation.network == "/netns/d"
    assert request.isolation.pid == "/proc/42/ns/pid"
    assert request.isolation.ipc == "/proc/42/ns/ipc"
    assert (request.hostname, request.domainname, request.files) == ("donor", "d", {"/etc/hosts": "/dh"})
    assert "HOSTNAME=donor" in request.process.env


def test_a_donor_on_the_hosts_network_is_joined_by_its_process() -> None:
    donor = Donor(spec(network_mode="host"), ContainerStatus(state="running", pid=42))
    request = create_request(spec(network_mode="container:d"), Parts(ROOTFS, donors={"network": donor}))
    assert request.isolation.network == "/proc/42/ns/net"


def test_mounts() -> None:
    points = (
        MountPoint(type="bind", destination="/etc/hosts", source="/my/hosts"),
        MountPoint(type="volume", destination="/data", name="v", source="/old"),
        MountPoint(
            type="tmpfs", destination="/t", rw=False,
            spec=MountRequest(type="tmpfs", target="/t", tmpfs_options=TmpfsOptions(size_bytes=1 << 20)),
        ),
    )  # fmt: skip
    request = create_request(
        spec(mounts=points, tmpfs={"/run": "size=1m"}), Parts(ROOTFS, SANDBOX, volumes={"/data": "/now/here"})
    )
    assert [point.source for point in request.mounts] == ["/my/hosts", "/now/here"]
    assert request.tmpfs == {"/run": "size=1m", "/t": "ro,size=1m"}
    assert set(request.files) == {"/etc/hostname"}


def test_security() -> None:
    request = create_request(
        spec(security_opt=("no-new-privileges", "seccomp={}"), masked_paths=("/x",)), Parts(ROOTFS)
    )
    assert request.process.no_new_privileges
    assert (request.seccomp, request.masked_paths, request.readonly_paths) == ("{}", ("/x",), ())
    assert create_request(spec(privileged=True), Parts(ROOTFS)).seccomp == "unconfined"


def test_exec_takes_what_it_does_not_name_from_the_container() -> None:
    container = spec(
        ContainerConfig(hostname="h", user="u", working_dir="/w", env=("A=1", "B=1")), cap_add=("NET_RAW",)
    )
    process = exec_process(container, ExecCreateRequest(id="c", cmd=("ls",), env=("B=2", "A")), (0, 0))
    assert (process.args, process.user, process.cwd, process.cap_add) == (("ls",), "u", "/w", ("NET_RAW",))
    assert "B=2" in process.env
    assert not any(variable.startswith("A=") for variable in process.env)
    own = exec_process(container, ExecCreateRequest(id="c", cmd=("ls",), user="0", working_dir="/", tty=True), (24, 80))
    assert (own.user, own.cwd, own.console_size) == ("0", "/", (24, 80))
    assert "TERM=xterm" in own.env


@given(st.lists(st.text("AB=1", min_size=1, max_size=4).filter(lambda v: not v.startswith("=")), max_size=6))
def test_each_variable_is_told_once_and_the_last_word_wins(variables: list[str]) -> None:
    container = spec(ContainerConfig(env=tuple(variables)))
    found = environment(container, "h", tty=False)
    names = [variable.partition("=")[0] for variable in found]
    assert len(set(names)) == len(names)
    for index, variable in enumerate(variables):
        name, equals, _ = variable.partition("=")
        if not any(later.partition("=")[0] == name for later in variables[index + 1 :]):
            assert (variable in found) is bool(equals)
