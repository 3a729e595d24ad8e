"""The whole configuration, from any request."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from services.platform.domain import spec
from services.platform.domain.capabilities import KNOWN
from services.platform.domain.devices import Node
from services.platform.domain.facts import Facts
from services.platform.domain.users import Ids
from shared.contracts.container import MountPoint, Resources
from shared.contracts.platform import CreateRequest, Isolation, Process
from shared.errors import InvalidArgument

FACTS = Facts(bounding=frozenset(KNOWN), masked_extra=("/sys/devices/system/cpu/cpu0/thermal_throttle",))
INPUTS = spec.Inputs(root="/roots/c", cgroup_path="/shoal/c", ids=Ids(5, 6, (6,)))


def request(privileged: bool = False, **fields: Any) -> CreateRequest:
    process = fields.pop("process", Process(args=("sh",), privileged=privileged))
    return CreateRequest(id="c", rootfs=(), process=process, hostname="h", **fields)


def build(wanted: CreateRequest, inputs: spec.Inputs = INPUTS) -> dict[str, Any]:
    return spec.build(wanted, FACTS, inputs, lambda path: (1, 2))


def test_the_confinement_is_dockers_or_tighter() -> None:
    made = build(request())["linux"]
    assert set(made["maskedPaths"]) == {*spec.MASKED, *FACTS.masked_extra}
    assert made["readonlyPaths"] == list(spec.READ_ONLY)
    assert made["seccomp"]["defaultAction"] == "SCMP_ACT_ERRNO"
    assert made["resources"]["devices"][0] == {"allow": False, "access": "rwm"}
    assert {entry["type"] for entry in made["namespaces"]} == {"mount", "network", "uts", "pid", "ipc", "cgroup"}
    assert made["cgroupsPath"] == "/shoal/c"


def test_privileged_is_confined_by_nothing_of_this() -> None:
    made = build(request(privileged=True))["linux"]
    assert made["maskedPaths"] == made["readonlyPaths"] == []
    assert "seccomp" not in made
    assert made["resources"]["devices"] == [{"allow": True, "access": "rwm"}]


def test_a_profile_binds_the_privileged_too_when_named() -> None:
    made = build(request(privileged=True, seccomp='{"defaultAction": "SCMP_ACT_LOG"}'))["linux"]
    assert made["seccomp"] == {"defaultAction": "SCMP_ACT_LOG", "syscalls": []}
    assert "seccomp" not in build(request(seccomp="unconfined"))["linux"]


def test_a_host_that_does_not_count_processes_is_not_asked_to_limit_them() -> None:
    assert build(request())["linux"]["resources"]["pids"]
    lacking = msgspec.structs.replace(FACTS, limits_pids=False)
    assert "pids" not in spec.build(request(), lacking, INPUTS, lambda path: (1, 2))["linux"]["resources"]


def test_paths_may_be_chosen() -> None:
    made = build(request(masked_paths=(), readonly_paths=("/x",)))["linux"]
    assert (made["maskedPaths"], made["readonlyPaths"]) == ([], ["/x"])


def test_a_compiled_filter_stands_in_for_the_profile() -> None:
    inputs = msgspec.structs.replace(INPUTS, filter_bpf="AAAA")
    made = build(request(annotations={spec.BPF_ANNOTATION: "mine", "a": "b"}), inputs)
    assert made["annotations"] == {spec.BPF_ANNOTATION: "AAAA", "a": "b"}
    assert "seccomp" not in made["linux"]


def test_nobody_brings_his_own_compiled_filter() -> None:
    assert build(request(annotations={spec.BPF_ANNOTATION: "mine"}))["annotations"] == {}


def test_names_belong_to_an_own_uts_namespace() -> None:
    assert build(request(domainname="d"))["hostname"] == "h"
    assert build(request(domainname="d"))["domainname"] == "d"
    for uts in ("host", "/proc/1/ns/uts"):
        assert "hostname" not in build(request(isolation=Isolation(uts=uts)))


def test_network_settings_are_made_in_an_own_network_only() -> None:
    assert "net.ipv4.ping_group_range" in spec.sysctls(request())
    assert spec.sysctls(request(isolation=Isolation(network="host"), sysctls={"a": "1"})) == {"a": "1"}
    assert spec.sysctls(request(sysctls={"net.ipv4.ip_unprivileged_port_start": "9"}))[
        "net.ipv4.ip_unprivileged_port_start"
    ] == "9"  # fmt: skip


def test_devices_are_nodes_and_rules() -> None:
    inputs = msgspec.structs.replace(INPUTS, nodes=(Node("/dev/x", "b", 8, 1, access="r"),))
    made = build(request(), inputs)["linux"]
    assert made["devices"][0]["path"] == "/dev/x"
    assert made["resources"]["devices"][-1] == {"allow": True, "type": "b", "major": 8, "minor": 1, "access": "r"}


def test_a_shared_mount_makes_the_root_shared() -> None:
    point = MountPoint(type="bind", source="/s", destination="/d", propagation="rshared")
    assert build(request(mounts=(point,)))["linux"]["rootfsPropagation"] == "shared"
    assert "rootfsPropagation" not in build(request())["linux"]


requests = st.builds(
    CreateRequest,
    id=st.just("c"),
    rootfs=st.just(()),
    process=st.builds(
        Process,
        args=st.lists(st.text(max_size=5), max_size=3).map(tuple),
        env=st.lists(st.text(max_size=9), max_size=3).map(tuple),
        tty=st.booleans(),
        privileged=st.booleans(),
        cap_add=st.lists(st.sampled_from(("ALL", "NET_ADMIN", "cap_chown", "X")), max_size=2).map(tuple),
        cap_drop=st.lists(st.sampled_from(("ALL", "MKNOD")), max_size=2).map(tuple),
    ),
    isolation=st.builds(
        Isolation,
        network=st.sampled_from(("", "host", "/n", "foo")),
        pid=st.sampled_from(("", "host", "/p")),
        ipc=st.sampled_from(("", "host", "/i", "none", "shareable")),
        uts=st.sampled_from(("", "host")),
        cgroup=st.sampled_from(("", "host", "private")),
    ),
    tmpfs=st.dictionaries(
        st.sampled_from(("/a", "/a/b", "/dev")), st.sampled_from(("", "ro,size=5", "x=y")), max_size=2
    ),
    resources=st.builds(Resources, memory=st.integers(0, 1 << 40), nano_cpus=st.integers(0, 1 << 40)),
    readonly_rootfs=st.booleans(),
    init=st.booleans(),
)


@settings(max_examples=150)
@given(requests)
def test_every_request_is_a_configuration_or_a_refusal(wanted: CreateRequest) -> None:
    facts = msgspec.structs.replace(FACTS, init_path="/init")
    try:
        made = spec.build(wanted, facts, INPUTS, lambda path: (1, 2))
    except InvalidArgument:
        return
    assert msgspec.json.decode(msgspec.json.encode(made))["root"] == {
        "path": "/roots/c", "readonly": wanted.readonly_rootfs,
    }  # fmt: skip
    places = [mount["destination"] for mount in made["mounts"]]
    assert len(set(places)) == len(places)
    confined = not wanted.process.privileged
    assert bool(made["linux"].get("seccomp")) is confined
    assert bool(made["linux"]["maskedPaths"]) is confined
