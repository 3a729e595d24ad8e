"""What a container may do, as seen from inside. Docker's default set or tighter."""

import errno
import json
import os
from pathlib import Path

import pytest

from tests.support.engine import IMAGE, Engine
from tests.support.reaper import PERL, libraries

NAMES = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
]
DEFAULT = frozenset(
    [
        "CHOWN",
        "DAC_OVERRIDE",
        "FSETID",
        "FOWNER",
        "MKNOD",
        "NET_RAW",
        "SETGID",
        "SETUID",
        "SETFCAP",
        "SETPCAP",
        "NET_BIND_SERVICE",
        "SYS_CHROOT",
        "KILL",
        "AUDIT_WRITE",
    ]
)


def status(engine: Engine, *arguments: str) -> dict[str, str]:
    """/proc/self/status of a container's process."""
    lines = engine.run(*arguments, IMAGE, "cat", "/proc/self/status").splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def capabilities(mask: str) -> frozenset[str]:
    return frozenset(name for number, name in enumerate(NAMES) if int(mask, 16) >> number & 1)


def hosts_bounding_set() -> frozenset[str]:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapBnd:"):
            return capabilities(line.split()[1])
    raise AssertionError("no CapBnd")


def test_default_capabilities(engine: Engine) -> None:
    found = status(engine)
    for name in ("CapPrm", "CapEff", "CapBnd"):
        assert capabilities(found[name]) == DEFAULT & hosts_bounding_set(), name
    for name in ("CapInh", "CapAmb"):
        assert int(found[name], 16) == 0, name


def test_a_user_has_no_effective_capabilities(engine: Engine) -> None:
    found = status(engine, "-u", "alice")
    assert (int(found["CapEff"], 16), int(found["CapPrm"], 16)) == (0, 0)
    assert capabilities(found["CapBnd"]) == DEFAULT & hosts_bounding_set()


def test_add_and_drop(engine: Engine) -> None:
    found = status(engine, "--cap-add", "NET_ADMIN", "--cap-drop", "MKNOD", "--cap-drop", "CAP_CHOWN")
    assert capabilities(found["CapEff"]) == ((DEFAULT | {"NET_ADMIN"}) - {"MKNOD", "CHOWN"}) & hosts_bounding_set()


def test_drop_all_and_add_one(engine: Engine) -> None:
    found = status(engine, "--cap-drop", "ALL", "--cap-add", "kill")
    assert capabilities(found["CapBnd"]) == {"KILL"}


@pytest.mark.beyond_reference("dockerd fails where the host lacks a capability")
def test_add_all_gives_what_the_host_has(engine: Engine) -> None:
    assert capabilities(status(engine, "--cap-add", "ALL")["CapBnd"]) == hosts_bounding_set()


def test_seccomp_filter_is_on(engine: Engine) -> None:
    assert status(engine)["Seccomp"] == "2"


def test_seccomp_filter_refuses(engine: Engine) -> None:
    """Docker's default profile has no unshare of a user namespace."""
    result = engine.docker("run", "--rm", IMAGE, "unshare", "-U", "true")
    assert result.code == 1
    assert "Operation not permitted" in result.err


def test_seccomp_unconfined(engine: Engine) -> None:
    found = status(engine, "--security-opt", "seccomp=unconfined")
    assert found["Seccomp"] == "0"
    assert (
        engine.docker("run", "--rm", "--security-opt", "seccomp=unconfined", IMAGE, "unshare", "-U", "true").code == 0
    )


def test_seccomp_profile_of_ones_own(engine: Engine, tmp_path: Path) -> None:
    rule = {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}
    (tmp_path / "profile.json").write_text(json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]}))
    result = engine.docker("run", "--rm", "--security-opt", f"seccomp={tmp_path}/profile.json", IMAGE, "mkdir", "/x")
    assert (result.code, result.err) == (1, "mkdir: can't create directory '/x': Operation not permitted\n")


def test_seccomp_profile_that_is_none(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "profile.json").write_text("[1, 2")
    result = engine.docker("run", "--rm", "--security-opt", f"seccomp={tmp_path}/profile.json", IMAGE, "true")
    assert result.code == 125


ON_AMD64 = os.uname().machine == "x86_64"
WITHHELD = {
    "io_uring_setup": "syscall(425, 0, 0)",
    "io_uring_enter": "syscall(426, -1, 0, 0, 0, 0, 0)",
    "io_uring_register": "syscall(427, -1, 0, 0, 0)",
    "AF_ALG": "socket(my $alg, 38, 5, 0) ? 0 : -1",
    "AF_VSOCK": "socket(my $vsock, 40, 1, 0) ? 0 : -1",
    "userfaultfd": f"syscall({323 if ON_AMD64 else 282}, 1)",
    "keyctl": f"syscall({250 if ON_AMD64 else 219}, 0, -3, 0)",
    "add_key": f"syscall({248 if ON_AMD64 else 217}, 0, 0, 0, 0, 0)",
    "bpf": f"syscall({321 if ON_AMD64 else 280}, 999, 0, 0)",
}
"""Perl that calls each with arguments that do nothing; what it has other than -1 is no refusal."""


def refusals(engine: Engine, *arguments: str) -> dict[str, int]:
    """What number of an error each of those calls ends with in a container, and again by `exec`; 0: none."""
    script = "".join(
        f"$! = 0; $r = {call}; print '{name} ', $r == -1 ? $! + 0 : 0, qq(\\n);" for name, call in WITHHELD.items()
    )
    perl = ["perl", "-e", script]
    shared = [word for path in (PERL, *libraries()) for word in ("-v", f"{path}:{path}:ro")]
    started = engine.start(*arguments, *shared, IMAGE, "sleep", "1000")
    of_exec = engine.ok("exec", started, *perl)
    assert engine.run(*arguments, *shared, IMAGE, *perl) == of_exec
    return {name: int(number) for name, number in (line.split() for line in of_exec.splitlines())}


@pytest.mark.beyond_reference("Docker's profile has withheld io_uring and AF_ALG since then")
def test_seccomp_filter_withholds_what_containers_have_been_left_by(engine: Engine) -> None:
    assert refusals(engine) == dict.fromkeys(WITHHELD, errno.EPERM)


@pytest.mark.beyond_reference("dockerd fails where the host lacks a capability")
def test_seccomp_unconfined_withholds_nothing(engine: Engine) -> None:
    """All capabilities, so that none of the refusals is the kernel's own; what it was built without has other words."""
    found = refusals(engine, "--security-opt", "seccomp=unconfined", "--cap-add", "ALL")
    switch = Path("/proc/sys/kernel/io_uring_disabled")
    off = {"io_uring_setup"} if switch.exists() and switch.read_text().strip() == "2" else set()
    assert {name for name, number in found.items() if number == errno.EPERM} == off


def test_no_new_privileges(engine: Engine) -> None:
    assert status(engine, "--security-opt", "no-new-privileges")["NoNewPrivs"] == "1"
    assert status(engine)["NoNewPrivs"] == "0"


MASKED_FILES = ("/proc/kcore", "/proc/keys", "/proc/timer_list")
MASKED_FOLDERS = ("/sys/firmware", "/proc/acpi", "/proc/scsi")


def test_masked_paths(engine: Engine) -> None:
    files = " ".join(MASKED_FILES)
    sizes = engine.run(IMAGE, "sh", "-c", f"for f in {files}; do [ ! -e $f ] || wc -c <$f; done")
    assert set(sizes.split()) == {"0"}
    folders = " ".join(MASKED_FOLDERS)
    assert engine.run(IMAGE, "sh", "-c", f"for f in {folders}; do [ ! -e $f ] || ls -A $f; done") == ""


@pytest.mark.parametrize("path", ["/proc/sys/kernel/hostname", "/proc/sysrq-trigger", "/proc/irq/default_smp_affinity"])
def test_read_only_paths(engine: Engine, path: str) -> None:
    result = engine.docker("run", "--rm", IMAGE, "sh", "-c", f"[ ! -e {path} ] || echo x >{path}")
    assert "Read-only file system" in result.err or not Path(path).exists()


def test_sys_and_cgroups_are_read_only(engine: Engine) -> None:
    mounts = [line.split()[1:4] for line in engine.run(IMAGE, "cat", "/proc/mounts").splitlines()]
    options = {path: found.split(",") for path, kind, found in mounts if path == "/sys" or kind.startswith("cgroup")}
    assert "/sys" in options
    assert len(options) > 1
    assert all("ro" in found for found in options.values()), options


def test_device_nodes(engine: Engine) -> None:
    names = set(engine.run(IMAGE, "ls", "/dev").split())
    expected = {
        "full",
        "null",
        "random",
        "tty",
        "urandom",
        "zero",
        "fd",
        "ptmx",
        "pts",
        "shm",
        "stdin",
        "stdout",
        "stderr",
    }
    assert expected <= names
    assert names <= expected | {"mqueue", "core", "console"}


def test_device_rules(engine: Engine) -> None:
    """A node may be made, but not opened: a disk (254:0), /dev/fuse, /dev/kvm."""
    for kind, major, minor in (("b", 254, 0), ("c", 10, 229), ("c", 10, 232)):
        result = engine.docker("run", "--rm", IMAGE, "sh", "-c", f"mknod /n {kind} {major} {minor} && head -c 1 /n")
        assert "Operation not permitted" in result.err, (kind, major, minor, result)
    assert engine.run(IMAGE, "sh", "-c", "mknod /n c 1 5 && head -c 3 /n | wc -c") == "3"


def test_device_added(engine: Engine) -> None:
    out = engine.run("--device", "/dev/fuse:/dev/other:r", IMAGE, "stat", "-c", "%F %t:%T", "/dev/other")
    assert out == "character special file a:e5"
    result = engine.docker("run", "--rm", "--device", "/dev/fuse:/dev/other:r", IMAGE, "sh", "-c", ": >/dev/other")
    assert "Operation not permitted" in result.err


def test_device_cgroup_rule(engine: Engine) -> None:
    script = "mknod /n c 10 229 && dd if=/n of=/dev/null count=0 2>/dev/null && echo opened"
    assert engine.run("--device-cgroup-rule", "c 10:229 r", IMAGE, "sh", "-c", script) == "opened"


@pytest.mark.parametrize("kind", ["ipc", "mnt", "net", "pid", "uts"])
def test_namespaces_are_private(engine: Engine, kind: str) -> None:
    names = [engine.start(IMAGE, "sleep", "100") for _ in range(2)]
    inside = [engine.ok("exec", name, "readlink", f"/proc/self/ns/{kind}") for name in names]
    assert len({*inside, str(Path(f"/proc/self/ns/{kind}").readlink())}) == 3


@pytest.mark.beyond_reference("on cgroup v1 dockerd's default is the host's")
def test_cgroup_namespace_is_private(engine: Engine) -> None:
    assert engine.run(IMAGE, "readlink", "/proc/self/ns/cgroup") != str(Path("/proc/self/ns/cgroup").readlink())
    assert all(line.endswith(":/") for line in engine.run(IMAGE, "cat", "/proc/1/cgroup").splitlines())


def test_pid_host(engine: Engine) -> None:
    ours = str(Path("/proc/self/ns/pid").readlink())
    assert engine.run("--pid", "host", IMAGE, "readlink", "/proc/self/ns/pid") == ours


def test_pid_of_another_container(engine: Engine) -> None:
    engine.start("--name", "owner", IMAGE, "sleep", "4321")
    assert "sleep 4321" in engine.run("--pid", "container:owner", IMAGE, "ps")


def test_ipc_modes(engine: Engine) -> None:
    ours = str(Path("/proc/self/ns/ipc").readlink())
    assert engine.run("--ipc", "host", IMAGE, "readlink", "/proc/self/ns/ipc") == ours
    owner = engine.start(
        "--name", "owner", "--ipc", "shareable", IMAGE, "sh", "-c", "echo x >/dev/shm/f; exec sleep 100"
    )
    inside = engine.ok("exec", owner, "readlink", "/proc/self/ns/ipc")
    joined = engine.run("--ipc", "container:owner", IMAGE, "sh", "-c", "readlink /proc/self/ns/ipc; cat /dev/shm/f")
    assert joined == f"{inside}\nx"
    private = engine.start("--name", "closed", IMAGE, "sleep", "100")
    result = engine.docker("run", "--rm", "--ipc", "container:closed", IMAGE, "true")
    assert result.code == 125
    assert "non-shareable IPC" in result.err, private
    assert "/dev/shm" not in engine.run("--ipc", "none", IMAGE, "cat", "/proc/mounts")


@pytest.mark.beyond_reference("dockerd fails where the host lacks a capability")
def test_privileged(engine: Engine) -> None:
    found = status(engine, "--privileged")
    assert capabilities(found["CapEff"]) == hosts_bounding_set()
    assert found["Seccomp"] == "0"
    script = "mkdir /mnt && mount -t tmpfs t /mnt && mknod /n c 1 11 && dd if=/n count=0 && ls /dev"
    assert "kmsg" in engine.run("--privileged", IMAGE, "sh", "-c", script).split()
    assert "rw" in [
        line.split()[3].split(",")[0]
        for line in engine.run("--privileged", IMAGE, "cat", "/proc/mounts").splitlines()
        if line.split()[1] == "/sys"
    ]
