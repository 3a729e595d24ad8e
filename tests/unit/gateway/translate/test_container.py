from __future__ import annotations

import msgspec

from gateway.http.version import Version
from gateway.translate import container as shown
from shared.contracts.container import (
    ContainerConfig,
    ContainerSpec,
    ContainerStatus,
    EndpointSettings,
    Health,
    HealthLog,
    HostConfig,
    LogConfig,
    MountPoint,
    PortBinding,
)
from shared.contracts.executor import UsageEntry

S = 1_000_000_000
V41, V51, V52 = Version(1, 41), Version(1, 51), Version(1, 52)
SPEC = ContainerSpec(
    id="ab" * 32,
    name="web",
    created=1_700_000_000 * S,
    config=ContainerConfig(image="busybox", hostname="abababababab", labels={"l": "v"}),
    host_config=HostConfig(network_mode="bridge"),
    networks={"bridge": EndpointSettings(), "un": EndpointSettings(aliases=("w",))},
    image_id="sha256:cd",
    path="sh",
    args=("-c", "echo out; exit 3"),
    mounts=(MountPoint(type="volume", name="v", source="/s", destination="/d", driver="local", copy_up=True),),
)
RUNNING = ContainerStatus(
    state="running",
    pid=12,
    started_at=1_700_000_001 * S,
    networks={"bridge": EndpointSettings(ip_address="172.17.0.2", ip_prefix_len=16, mac_address="02:42:ac:11:00:02")},
    ports={
        "80/tcp": (PortBinding(host_ip="0.0.0.0", host_port="8080"), PortBinding(host_ip="::", host_port="8080")),
        "9/udp": None,
    },
)


def test_where_a_log_is_in_a_form_of_its_own_is_not_told() -> None:
    status = msgspec.structs.replace(RUNNING, log_path="/log")
    for driver, path in (("json-file", "/log"), ("local", "")):
        spec = msgspec.structs.replace(SPEC, host_config=HostConfig(log_config=LogConfig(type=driver)))
        assert shown.inspect(spec, status, V51)["LogPath"] == path


def test_inspect_of_a_running_container() -> None:
    data = shown.inspect(SPEC, RUNNING, V51)
    assert (data["Name"], data["Created"], data["Path"]) == ("/web", "2023-11-14T22:13:20Z", "sh")
    assert data["State"]["Running"]
    assert data["State"]["Pid"] == 12
    assert data["State"]["FinishedAt"] == "0001-01-01T00:00:00Z"
    assert data["NetworkSettings"]["Networks"]["bridge"]["IPAddress"] == "172.17.0.2"
    assert data["NetworkSettings"]["Networks"]["un"]["Aliases"] == ("w",)
    assert data["NetworkSettings"]["Ports"]["9/udp"] is None
    assert data["ExecIDs"] is None
    assert data["Mounts"] == [
        {
            "Type": "volume", "Name": "v", "Source": "/s", "Destination": "/d", "Driver": "local", "Mode": "",
            "RW": True, "Propagation": "",
        }
    ]  # fmt: skip


def test_old_versions_repeat_the_bridge_and_name_the_container_as_alias() -> None:
    old, new = (shown.inspect(SPEC, RUNNING, version)["NetworkSettings"] for version in (V41, V52))
    assert (old["IPAddress"], old["MacAddress"]) == ("172.17.0.2", "02:42:ac:11:00:02")
    assert old["Networks"]["un"]["Aliases"] == ["w", "abababababab"]
    assert "DNSNames" not in old["Networks"]["bridge"]
    assert "GwPriority" not in old["Networks"]["bridge"]
    assert "IPAddress" not in new
    assert "Bridge" not in new
    assert {"DNSNames", "GwPriority"} <= set(new["Networks"]["bridge"])


def test_a_container_that_ended_has_no_process() -> None:
    state = shown.state(ContainerStatus(state="exited", exit_code=3, pid=12, started_at=S, finished_at=2 * S))
    assert (state["Pid"], state["ExitCode"], state["Running"]) == (0, 3, False)
    assert state["FinishedAt"] == "1970-01-01T00:00:02Z"


def test_health_is_shown_with_its_log() -> None:
    health = Health(status="healthy", log=(HealthLog(start=S, end=2 * S, exit_code=0, output="ok"),))
    state = shown.state(ContainerStatus(state="running", health=health))
    assert state["Health"] == {
        "Status": "healthy",
        "FailingStreak": 0,
        "Log": [{"Start": "1970-01-01T00:00:01Z", "End": "1970-01-01T00:00:02Z", "ExitCode": 0, "Output": "ok"}],
    }
    assert "Health" not in shown.state(ContainerStatus(state="running", health=Health()))


def test_the_command_line_quotes_what_has_blanks() -> None:
    assert shown.command(SPEC) == "sh -c 'echo out; exit 3'"


def test_ports_as_ps_lists_them() -> None:
    assert shown.ports(RUNNING) == [
        {"PrivatePort": 9, "Type": "udp"},
        {"IP": "0.0.0.0", "PrivatePort": 80, "PublicPort": 8080, "Type": "tcp"},
        {"IP": "::", "PrivatePort": 80, "PublicPort": 8080, "Type": "tcp"},
    ]


def test_a_summary_ends_with_its_status_text() -> None:
    for version in (V41, V51, V52):
        data = shown.summary(SPEC, RUNNING, version, "Up 3 seconds")
        assert list(data)[-1] == "Status"
    assert data["Names"] == ["/web"]
    assert data["State"] == "running"
    assert data["Health"] == {"Status": "none", "FailingStreak": 0}
    assert "Health" not in shown.summary(SPEC, RUNNING, V51, "")


def test_sizes_leave_out_an_empty_layer() -> None:
    assert shown.sizes(UsageEntry(id="x", rw_bytes=0, rootfs_bytes=9)) == {"SizeRootFs": 9}
    assert shown.sizes(UsageEntry(id="x", rw_bytes=5, rootfs_bytes=9)) == {"SizeRw": 5, "SizeRootFs": 9}
    assert shown.sizes(None) == {}
