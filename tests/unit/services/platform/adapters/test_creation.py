"""From a request to a process that waits."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from shared.contracts.container import DeviceMapping, MountPoint, Resources, Ulimit
from shared.contracts.platform import Isolation
from shared.errors import InvalidArgument
from tests.support.platform_host import Host


def config(host: Host, name: str) -> dict[str, object]:
    text = (Path(host.settings.run_dir) / "platform/workloads" / name / "config.json").read_text()
    loaded: dict[str, object] = json.loads(text)
    return loaded


@pytest.mark.parametrize(
    ("user", "told"),
    [
        ("", "uid=0(root) gid=0(root) groups=0(root)"),
        ("alice", "uid=1000(alice) gid=1000(alice) groups=50(staff),1000(alice)"),
        ("alice:0", "uid=1000(alice) gid=0(root) groups=0(root)"),
        ("1234:56", "uid=1234 gid=56 groups=56"),
    ],
)
async def test_users_of_the_image(host: Host, user: str, told: str) -> None:
    assert (await host.output("id", process_user=user)).decode().strip() == told


async def test_a_working_folder_is_made(host: Host) -> None:
    assert await host.output("sh", "-c", "pwd", process_cwd="/new/dir") == b"/new/dir\n"


async def test_mounts_of_all_kinds(host: Host) -> None:
    (host.directory / "hosts").write_text("1.2.3.4 x\n")
    (host.directory / "bound").mkdir()
    (host.directory / "bound/file").write_text("bound\n")
    script = "cat /etc/hosts /b/file; touch /b/x; grep -E ' /t | /dev/shm ' /proc/mounts"
    output = await host.output(
        "sh", "-c", script,
        files={"/etc/hosts": str(host.directory / "hosts")},
        mounts=(MountPoint(type="bind", source=str(host.directory / "bound"), destination="/b", rw=False),),
        tmpfs={"/t": "size=1m,mode=700"}, shm_size=1 << 20,
    )  # fmt: skip
    assert b"1.2.3.4 x\nbound\n" in output
    assert b"touch: /b/x: Read-only file system" in output
    assert b"tmpfs /t tmpfs rw,nosuid,nodev,noexec,relatime,size=1024k,mode=700" in output
    assert b"shm /dev/shm tmpfs rw,nosuid,nodev,noexec,relatime,size=1024k" in output


async def test_an_empty_volume_is_filled_from_the_image(host: Host) -> None:
    volume = host.directory / "volume"
    volume.mkdir()
    point = MountPoint(type="volume", source=str(volume), destination="/data", copy_up=True)
    assert await host.output("cat", "/data/file", mounts=(point,)) == b"from the image"
    assert ((volume / "file").stat().st_uid, (volume / "file").stat().st_gid) == (1000, 50)
    (volume / "file").write_text("changed")
    assert await host.output("cat", "/data/file", mounts=(point,)) == b"changed"


async def test_limits_and_devices(host: Host) -> None:
    resources = Resources(
        devices=(DeviceMapping(path_on_host="/dev/full", path_in_container="/dev/brim"),),
        ulimits=(Ulimit(name="nofile", soft=100, hard=200),),
        pids_limit=50,
    )
    script = "ulimit -Sn; ulimit -Hn; echo x > /dev/brim"
    output = await host.output("sh", "-c", script, resources=resources)
    assert output.startswith(b"100\n200\n")
    assert b"No space left on device" in output
    name = await host.run("sleep", "100", resources=resources)
    assert (await host.usage(name))["pids_stats"]["limit"] == 50


async def test_a_container_that_takes_too_much_memory_is_ended_and_marked(host: Host) -> None:
    name = await host.run(
        "dd", "if=/dev/zero", "of=/dev/null", "bs=20M", "count=1", resources=Resources(memory=6 << 20)
    )
    told = await host.exited(name)
    assert (told.exit_code, told.oom_killed) == (137, True)


async def test_privileged_has_what_the_engine_has(host: Host) -> None:
    output = await host.output(
        "sh", "-c", "grep -E 'CapEff|Seccomp:' /proc/self/status; ls /dev", process_privileged=True
    )
    mask = next(line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if "CapBnd" in line)
    assert f"CapEff:\t{mask}\nSeccomp:\t0\n".encode() in output
    assert b"loop" in output or b"kmsg" in output


async def test_init_is_the_first_process(host: Host) -> None:
    assert b"/sbin/docker-init -- ps" in await host.output("ps", init=True)


async def test_the_hosts_processes_may_be_seen(host: Host) -> None:
    output = await host.output("sh", "-c", "echo $$", isolation=Isolation(pid="host"))
    assert int(output) > 10


async def test_the_filter_is_compiled_once(host: Host) -> None:
    first, second = await host.run("sleep", "100"), await host.run("sleep", "100")
    assert "seccomp" in str(config(host, first)["linux"])
    assert config(host, second)["annotations"]
    pid = (await host.state(second)).pid
    assert "Seccomp:\t2" in Path(f"/proc/{pid}/status").read_text()
    # another set of capabilities has another filter
    third = await host.run("sleep", "100", process_cap_add=("SYS_ADMIN",))
    assert not config(host, third)["annotations"]


async def test_another_runtime(host: Host) -> None:
    for name in host.linux.runtimes.names():
        assert await host.output("echo", name, runtime=name) == f"{name}\n".encode()
        workload = host.made[-1]
        await host.delete(workload)
        assert not (Path(host.settings.run_dir) / "platform/runtime" / name / workload).exists()


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"tmpfs": {"/x": "foo=bar"}}, 'invalid tmpfs option ["foo" "bar"]'),
        ({"sysctls": {"kernel.foo": "1"}}, 'sysctl "kernel.foo" is not in a separate kernel namespace'),
        ({"sysctls": {"net.ipv4.nope": "1"}}, "open /proc/sys/net/ipv4/nope: no such file or directory"),
        ({"process_cwd": "/etc/passwd"}, "Cannot mkdir: /etc/passwd is not a directory"),
        ({"seccomp": "notjson"}, "Decoding seccomp profile failed"),
        ({"runtime": "nort"}, "unknown or invalid runtime name: nort"),
        (
            {"mounts": (MountPoint(type="bind", source="/etc/passwd", destination="/data"),)},
            'error mounting "/etc/passwd" to rootfs at "/data": not a directory',
        ),
    ],
)
async def test_refusals_in_dockers_words(host: Host, fields: dict[str, Any], text: str) -> None:
    request = host.request("true", **fields)
    with pytest.raises(InvalidArgument) as caught:
        await host.service.create(request)
    assert text in caught.value.message
    assert not os.path.exists(f"{host.settings.run_dir}/platform/workloads/{request.id}")
    assert not os.path.exists(f"{host.settings.run_dir}/platform/roots/{request.id}")


async def test_a_root_that_cannot_be_mounted(host: Host) -> None:
    request = host.request("true")
    os.rmdir(host.directory / "layers" / request.id / "work")
    with pytest.raises(InvalidArgument, match=r"mounting overlay at .*: No such file or directory"):
        await host.service.create(request)
