"""The OCI configuration of a workload (runtime-spec 1.2, config.json)."""

from __future__ import annotations

from typing import Any

import msgspec

from shared.contracts.platform import CreateRequest

from . import devices, seccomp
from .facts import Facts
from .mounts import mounts, root_propagation
from .namespaces import HOST, namespaces, own_network
from .process import granted, process
from .resources import DeviceNumbers, resources
from .users import Ids

OCI_VERSION = "1.0.2"
BPF_ANNOTATION = "run.oci.seccomp_bpf_data"
"""crun takes a compiled filter from here and saves compiling the profile anew for each workload."""

MASKED = (
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
)
READ_ONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")


class Inputs(msgspec.Struct, frozen=True, kw_only=True):
    """What was found on the host for one workload."""

    root: str
    cgroup_path: str
    ids: Ids = Ids()
    nodes: tuple[devices.Node, ...] = ()
    shm: str = ""
    filter_bpf: str = ""
    """The compiled system call filter in base64; then the profile itself is left out."""


def build(request: CreateRequest, facts: Facts, inputs: Inputs, numbers: DeviceNumbers) -> dict[str, Any]:
    """The whole configuration. Raises `InvalidArgument` where the request cannot be met."""
    annotations = {name: text for name, text in request.annotations.items() if name != BPF_ANNOTATION}
    if inputs.filter_bpf:
        annotations[BPF_ANNOTATION] = inputs.filter_bpf
    config: dict[str, Any] = {
        "ociVersion": OCI_VERSION,
        "process": process(request.process, inputs.ids, facts, request.resources.ulimits, request.init),
        "root": {"path": inputs.root, "readonly": request.readonly_rootfs},
        "mounts": mounts(request, facts, inputs.shm),
        "annotations": annotations,
        "linux": _linux(request, facts, inputs, numbers),
    }
    if request.isolation.uts != HOST and not request.isolation.uts.startswith("/"):
        config["hostname"] = request.hostname
        if request.domainname:
            config["domainname"] = request.domainname
    return config


def _linux(request: CreateRequest, facts: Facts, inputs: Inputs, numbers: DeviceNumbers) -> dict[str, Any]:
    privileged, wanted = request.process.privileged, request.resources
    linux: dict[str, Any] = {
        "cgroupsPath": inputs.cgroup_path,
        "namespaces": namespaces(request.isolation, facts.cgroup_v2),
        "resources": limits(request, facts, numbers)
        | {"devices": devices.rules(inputs.nodes, wanted.device_cgroup_rules, privileged)},
        "devices": devices.nodes(inputs.nodes),
        "sysctl": sysctls(request),
        "maskedPaths": _paths(request.masked_paths, (*MASKED, *facts.masked_extra), privileged),
        "readonlyPaths": _paths(request.readonly_paths, READ_ONLY, privileged),
    }
    if propagation := root_propagation(request.mounts):
        linux["rootfsPropagation"] = propagation
    if not inputs.filter_bpf and (profile := filter_profile(request, facts)):
        linux["seccomp"] = profile
    return linux


def limits(request: CreateRequest, facts: Facts, numbers: DeviceNumbers) -> dict[str, Any]:
    """`linux.resources` but for devices."""
    made = resources(request.resources, numbers)
    if not facts.limits_pids:
        del made["pids"]
    return made


def _paths(asked: tuple[str, ...] | None, default: tuple[str, ...], privileged: bool) -> list[str]:
    if asked is not None:
        return list(asked)
    return [] if privileged else list(default)


def sysctls(request: CreateRequest) -> dict[str, str]:
    """The user's, over two that Docker sets in every network namespace of a workload's own."""
    own = {"net.ipv4.ping_group_range": "0 2147483647", "net.ipv4.ip_unprivileged_port_start": "0"}
    return (own if own_network(request.isolation) else {}) | request.sysctls


def filter_profile(request: CreateRequest, facts: Facts) -> dict[str, Any]:
    """`linux.seccomp` of a request; empty: none (asked for, or privileged without a profile of its own)."""
    if request.seccomp == seccomp.UNCONFINED or (request.process.privileged and not request.seccomp):
        return {}
    profile = seccomp.parse(request.seccomp) if request.seccomp else seccomp.default_profile()
    return seccomp.resolve(profile, granted(request.process, facts), facts.architecture, facts.kernel)
