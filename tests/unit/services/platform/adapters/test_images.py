"""Checkpoints of real containers, restored under real monitors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from services.platform.adapters import images
from shared.contracts.platform import CheckpointRequest, CreateRequest, Isolation, Restore, SignalRequest
from shared.errors import AlreadyExists, Conflict, InvalidArgument, NotFound
from tests.support.platform_host import Host, everything

COUNT = ("sh", "-c", "trap 'exit 33' USR1; i=0; while :; do echo $i; i=$((i+1)); usleep 20000; done")


@pytest.fixture
def image(directory: Path) -> str:
    return str(directory / "image")


async def counting(host: Host, **fields: Any) -> CreateRequest:
    request = host.request(*COUNT, start=True, **fields)
    await host.service.create(request)
    await host.logged(request.id, 3)
    return request


async def restored(host: Host, request: CreateRequest, image: str, **fields: Any) -> None:
    again = host.request(*COUNT, name=request.id, restore=Restore(image_path=image), **fields)
    reply = await host.service.create(again)
    assert reply.started_at > 0


async def test_it_goes_on_where_it_was(host: Host, image: str) -> None:
    request = await counting(host)
    await host.service.checkpoint(CheckpointRequest(id=request.id, image_path=image))
    assert await host.code(request.id) == 137
    before = len(await host.logs(request.id))
    await host.delete(request.id, logs=False)
    del host.exits[request.id]
    await restored(host, request, image)
    assert (await host.state(request.id)).state == "running"
    await host.logged(request.id, before + 3)
    lines = [int(text) for _, text in await host.logs(request.id)]
    assert lines == list(range(len(lines)))
    assert await host.ran(request.id, "echo", "exec") == (0, b"exec\n")
    await host.restart()
    assert (await host.state(request.id)).state == "running"
    await host.service.signal(SignalRequest(id=request.id, signal=10))
    assert await host.code(request.id) == 33


async def test_all_processes_are_in_their_groups_again(host: Host, image: str) -> None:
    script = ("sh", "-c", "tail -f /dev/null & echo there; wait")  # a shell's own sleep may end when it is interrupted
    request = host.request(*script, start=True)
    await host.service.create(request)
    await host.logged(request.id, 1)
    record = host.linux.workloads.get(request.id).record
    before = groups(host.linux.cgroups.processes(record.cgroup))
    await host.service.checkpoint(CheckpointRequest(id=request.id, image_path=image))
    await host.exited(request.id)
    await host.delete(request.id, logs=False)
    await restored(host, request, image)
    after = groups(host.linux.cgroups.processes(record.cgroup))
    assert len(after) == 2
    assert set(after) == set(before)


def groups(pids: list[int]) -> list[str]:
    return [Path(f"/proc/{pid}/cgroup").read_text() for pid in pids]


@pytest.mark.parametrize("cgroup", ["private", "host"])
async def test_it_is_confined_as_before(host: Host, image: str, cgroup: Any) -> None:
    isolation = Isolation(cgroup=cgroup)
    request = await counting(host, isolation=isolation)
    before = await host.confinement(request.id)
    assert "head: /disk: Operation not permitted" in before
    await host.service.checkpoint(CheckpointRequest(id=request.id, image_path=image))
    await host.exited(request.id)
    await host.delete(request.id, logs=False)
    await restored(host, request, image, isolation=isolation)
    assert await host.confinement(request.id) == before
    config = json.loads((Path(host.settings.run_dir) / "platform/workloads" / request.id / "config.json").read_bytes())
    # where the group is the root of the runtime's namespace it must have nothing to limit (nsdelegate)
    assert ("resources" in config["linux"]) is not host.linux.cgroups.v2


async def test_it_is_left_running(host: Host, image: str) -> None:
    request = await counting(host)
    await host.service.checkpoint(CheckpointRequest(id=request.id, image_path=image, leave_running=True))
    before = len(await host.logs(request.id))
    await host.logged(request.id, before + 3)
    assert Path(image, "inventory.img").exists()
    with pytest.raises(AlreadyExists):
        await host.service.checkpoint(CheckpointRequest(id=request.id, image_path=image))


async def test_a_terminal_is_taken_along(host: Host, image: str) -> None:
    request = host.request(*COUNT, start=True, process_tty=True, process_stdin=True)
    first = await host.attach(request.id)
    await host.service.create(request)
    assert (await first.read()).startswith(b"0\r\n")
    await host.service.checkpoint(CheckpointRequest(id=request.id, image_path=image))
    await host.exited(request.id)
    await host.delete(request.id, logs=False)
    second = await host.attach(request.id)
    await restored(host, request, image, process_tty=True, process_stdin=True)
    assert (await second.read()).endswith(b"\r\n")
    for channel in (first, second):
        channel.close()


async def test_a_client_that_waits_is_joined(host: Host, image: str) -> None:
    request = await counting(host)
    await host.service.checkpoint(CheckpointRequest(id=request.id, image_path=image))
    await host.exited(request.id)
    await host.delete(request.id, logs=False)
    del host.exits[request.id]
    channel = await host.attach(request.id)
    await restored(host, request, image)
    assert await channel.read()
    await host.service.signal(SignalRequest(id=request.id, signal=10))
    assert await host.code(request.id) == 33
    assert await everything(channel) is not None


async def test_what_cannot_be_restored_leaves_nothing(host: Host, image: str) -> None:
    Path(image).mkdir()
    with pytest.raises(InvalidArgument, match="failed to restore the checkpoint"):
        await restored(host, host.request(*COUNT), image)
    assert not list(Path(host.settings.run_dir, "platform/workloads").iterdir())


async def test_refused(host: Host, image: str) -> None:
    with pytest.raises(NotFound):
        await host.service.checkpoint(CheckpointRequest(id="nope", image_path=image))
    request = await counting(host)
    with pytest.raises(InvalidArgument, match="absolute"):
        await host.service.checkpoint(CheckpointRequest(id=request.id, image_path="image"))
    await host.service.signal(SignalRequest(id=request.id, signal=9))
    await host.exited(request.id)
    with pytest.raises(Conflict):
        await host.service.checkpoint(CheckpointRequest(id=request.id, image_path=image))
    assert not Path(image).exists()


def test_a_failure_tells_what_criu_says(directory: Path) -> None:
    assert images.restore_failure(directory, "exit 1") == "failed to restore the checkpoint: exit 1"
    harmless = "(00.1) Error (criu/util.c:1): rlimit: Can't setup RLIMIT_NOFILE for self: Operation not permitted\n"
    (directory / "restore.log").write_text(f"(00.1) fine\n{harmless}(00.2) Error (criu/x.c:1): no such thing\n")
    told = "failed to restore the checkpoint: criu failed: no such thing"
    assert images.restore_failure(directory, "exit 1") == told
