"""Checks of the kernel: version, capabilities, namespaces, filters, control groups, network."""

from __future__ import annotations

import ctypes
import os
import platform
import resource
import subprocess
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from shared.config import Settings
from tools.toolchain.parts import Version, parse_version, show

from .findings import Finding, ok, warning, wrong

MINIMUM: Version = (5, 10)
NAMESPACES = ("cgroup", "ipc", "mnt", "net", "pid", "uts")
CAPABILITIES: Mapping[str, int] = {
    "CAP_CHOWN": 0,
    "CAP_DAC_OVERRIDE": 1,
    "CAP_FOWNER": 3,
    "CAP_KILL": 5,
    "CAP_SETGID": 6,
    "CAP_SETUID": 7,
    "CAP_NET_ADMIN": 12,
    "CAP_SYS_CHROOT": 18,
    "CAP_SYS_PTRACE": 19,
    "CAP_SYS_ADMIN": 21,
    "CAP_MKNOD": 27,
}
CONTROLLERS = ("cpu", "memory", "pids")
FEW_FILES = 8192
CGROUP2_MAGIC = 0x63677270


def check(settings: Settings) -> Iterator[Finding]:
    """Everything the kernel has to offer."""
    yield judge_version(platform.release())
    yield judge_capabilities(_effective_capabilities())
    yield judge_namespaces({entry.name for entry in Path("/proc/self/ns").iterdir()})
    yield judge_filesystems(Path("/proc/filesystems").read_text(), _loadable("overlay"))
    yield judge_seccomp(Path("/proc/self/status").read_text())
    yield judge_cgroups(*_cgroups())
    yield judge_files(resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    yield judge_nftables(_nftables())
    yield judge_device("/dev/net/tun", os.path.exists("/dev/net/tun"))


def judge_version(release: str) -> Finding:
    """New enough for pidfds, openat2 and close_range."""
    if parse_version(release) >= MINIMUM:
        return ok("kernel", release)
    return wrong("kernel", f"{release} is older than {show(MINIMUM)}", "install a newer kernel")


def judge_capabilities(effective: int) -> Finding:
    """What root may do here."""
    lacking = [name for name, bit in CAPABILITIES.items() if not effective >> bit & 1]
    if not lacking:
        return ok("capabilities", "root has what it needs")
    return wrong("capabilities", f"lacking {', '.join(lacking)}", "run as root, in a container only with --privileged")


def judge_namespaces(present: Collection[str]) -> Finding:
    """Private views for containers; user namespaces are only needed for remapping."""
    if lacking := [name for name in NAMESPACES if name not in present]:
        return wrong("namespaces", f"this kernel lacks {', '.join(lacking)}", "use a kernel with these namespaces")
    return ok("namespaces", " ".join(name for name in sorted(present) if not name.endswith("for_children")))


def judge_filesystems(listing: str, loadable: bool) -> Finding:
    """overlayfs, by which containers share image layers."""
    if "overlay" in listing.split() or loadable:
        return ok("overlayfs", "available")
    return wrong("overlayfs", "not in this kernel", "load it: modprobe overlay")


def judge_seccomp(status: str) -> Finding:
    """System call filters."""
    if "Seccomp_filters:" in status or "Seccomp:" in status:
        return ok("seccomp", "available")
    return wrong("seccomp", "not in this kernel", "use a kernel with CONFIG_SECCOMP_FILTER")


def judge_cgroups(mode: str, controllers: Collection[str]) -> Finding:
    """Limits and accounting; `mode` is v2, v1, hybrid or none."""
    if mode == "none":
        return wrong("cgroups", "not mounted", "mount -t cgroup2 cgroup2 /sys/fs/cgroup")
    if lacking := [name for name in CONTROLLERS if name not in controllers]:
        remedy = "boot with systemd.unified_cgroup_hierarchy=1 cgroup_enable=memory"
        return warning("cgroups", f"{mode}, without the controllers {', '.join(lacking)}", remedy)
    if mode == "v2":
        return ok("cgroups", "v2")
    return warning("cgroups", f"{mode}: works, but is going out of use", "boot with systemd.unified_cgroup_hierarchy=1")


def judge_files(limit: int) -> Finding:
    """Open files, of which each container takes a few."""
    if limit in (resource.RLIM_INFINITY, -1) or limit >= FEW_FILES:
        return ok("open files", "unlimited" if limit < 0 else f"at most {limit}")
    return warning(
        "open files", f"at most {limit}", f"raise the hard limit to {FEW_FILES} or more: ulimit -Hn, LimitNOFILE="
    )


def judge_nftables(problem: str) -> Finding:
    """The library and the kernel's side of nftables, for published ports and outbound traffic."""
    if not problem:
        return ok("nftables", "library and kernel work")
    return wrong("nftables", problem, "apt-get install libnftables1; modprobe nf_tables")


def judge_device(path: str, present: bool) -> Finding:
    """A device that some containers are given."""
    if present:
        return ok(path, "present")
    return warning(path, "missing: containers that make tunnels cannot", "modprobe tun")


def _effective_capabilities() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapEff:"):
            return int(line.split()[1], 16)
    return 0


def _loadable(module: str) -> bool:
    try:
        return subprocess.run(["modprobe", "-n", "-q", module], check=False).returncode == 0
    except FileNotFoundError:
        return False


def _cgroups() -> tuple[str, set[str]]:
    root = Path("/sys/fs/cgroup")
    if (root / "cgroup.controllers").exists():
        return "v2", set((root / "cgroup.controllers").read_text().split())
    mounts = [line.split(" - ") for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    v1 = [right.split()[2] for _, right in mounts if right.startswith("cgroup ")]
    v2 = any(right.startswith("cgroup2 ") for _, right in mounts)
    controllers = {name for options in v1 for name in options.split(",")}
    return ("hybrid" if v1 and v2 else "v1" if v1 else "none"), controllers


def _nftables() -> str:
    """Why nftables does not work; empty when it does."""
    try:
        library = ctypes.CDLL("libnftables.so.1")
    except OSError as error:
        return str(error)
    library.nft_ctx_new.restype = ctypes.c_void_p
    library.nft_ctx_get_error_buffer.restype = ctypes.c_char_p
    context = ctypes.c_void_p(library.nft_ctx_new(0))
    try:
        library.nft_ctx_buffer_output(context)
        library.nft_ctx_buffer_error(context)
        if library.nft_run_cmd_from_buffer(context, b"list tables") == 0:
            return ""
        return (library.nft_ctx_get_error_buffer(context) or b"list tables failed").decode(errors="replace").strip()
    finally:
        library.nft_ctx_free(context)
