from __future__ import annotations

import asyncio
import os
from contextlib import AsyncExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from services.builder.adapters import mount_files
from services.builder.domain.mounts import CACHE, Mount
from services.builder.operations import mounting
from services.builder.operations.engine import Build
from shared.contracts import executor
from shared.contracts.container import MountRequest
from shared.errors import ResourceExhausted
from tests.support.builder_world import World


def mounts(world: World) -> tuple[MountRequest, ...]:
    """Of the container made last."""
    made = [call for call in world.containers.calls if isinstance(call, executor.CreateRequest)]
    return made[-1].host_config.mounts


async def test_kinds(world: World) -> None:
    text = (
        "FROM busybox\nRUN --mount=type=cache,target=/c,ro --mount=type=tmpfs,target=/t,size=1k "
        "--mount=type=secret,id=s --mount=type=secret,id=absent --mount=source=d,target=/d,rw true\n"
    )
    await world.built(text, {"d/f": b"x"}, secrets={"s": b"secret"})
    cache, tmpfs, secret, bind = mounts(world)
    assert (cache.type, cache.target, cache.read_only) == ("bind", "/c", True)
    assert tmpfs.tmpfs_options is not None
    assert (tmpfs.type, tmpfs.tmpfs_options.size_bytes) == ("tmpfs", 1024)
    assert (secret.target, secret.read_only) == ("/run/secrets/s", True)
    assert (bind.target, bind.read_only) == ("/d", False)


async def test_files_of_images_and_stages(world: World) -> None:
    text = (
        "FROM busybox AS one\nFROM busybox\n"
        "RUN --mount=from=one,target=/a --mount=from=busybox,source=/etc/passwd,target=/p true\n"
    )
    await world.built(text)
    assert [each.target for each in mounts(world)] == ["/a", "/p"]


async def test_files_that_cannot_be_written_out_leave_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise ResourceExhausted("cannot write: no space")

    monkeypatch.setattr(mount_files, "_copy", full)
    text = "FROM busybox\nRUN --mount=source=d,target=/d true\n"
    lines = await world.build(text, {"d/f": b"x"})
    assert "no space" in lines[-1]["error"]
    assert os.listdir(world.kernel.settings.state_path / "builder/mounts") == []


async def test_a_cache_is_busy_until_the_last_has_left_it(tmp_path: Path) -> None:
    """Whoever wants one alone gets another one, as long as anybody has it."""
    build = SimpleNamespace(busy=[], files=mount_files.MountFiles(tmp_path, tmp_path), spools=None)
    shared, private = Mount(CACHE, target="/c"), Mount(CACHE, target="/c", sharing="private")

    async def mounted(mount: Mount, stack: AsyncExitStack) -> str:
        return (await mounting._cache(cast(Build, build), 0, mount, stack)).source

    async with AsyncExitStack() as long:
        source = await mounted(shared, long)
        async with AsyncExitStack() as short:
            assert await mounted(shared, short) == source
        async with AsyncExitStack() as alone:
            found = [source, *[await mounted(private, alone) for _ in range(3)]]
            assert len(set(found)) == 4
    async with AsyncExitStack() as alone:
        assert await mounted(private, alone) == source


async def test_a_cache_begins_with_files_of_an_image(world: World) -> None:
    """When it is made; another image is another cache."""
    text = "FROM busybox AS one\nCOPY d /d\nFROM busybox\nRUN --mount=type=cache,target=/c,from=one,source=/d true\n"

    async def cache(content: bytes) -> Path:
        await world.built(text, {"d/f": content}, no_cache=True)
        return Path(mounts(world)[0].source)

    first = await cache(b"x")
    assert (first / "f").read_bytes() == b"x"
    (first / "f").write_bytes(b"changed")
    again = await cache(b"x")
    assert ((again / "f").read_bytes(), again != first) == (b"x", True), "a stage that is built anew is another image"
    image = "FROM busybox\nRUN --mount=type=cache,target=/c,from=busybox,source=etc true\n"
    await world.built(image)
    of_image = Path(mounts(world)[0].source)
    (of_image / "passwd").write_bytes(b"changed")
    await world.built(image, no_cache=True)
    assert Path(mounts(world)[0].source) == of_image
    assert (of_image / "passwd").read_bytes() == b"changed"


@pytest.mark.parametrize("ids", [("a", "b"), ("a", "a")])
async def test_who_wants_several_caches_alone_waits_for_nobody_who_waits(world: World, ids: tuple[str, str]) -> None:
    """Stages that name them in another order, and a step that names one twice."""
    locked = [f"--mount=type=cache,sharing=locked,id={each},target=/{number}" for number, each in enumerate(ids)]
    text = "".join(
        f"FROM busybox\nRUN {' '.join(order)} true\nRUN {' '.join(order)} echo\n"
        for order in (locked, locked[::-1]) * 3
    )
    async with asyncio.timeout(60):
        await world.build(text)
    assert not world.error


async def test_a_script(world: World) -> None:
    await world.built("FROM busybox\nRUN <<E\n#!/bin/sh\necho hi\nE\n")
    assert mounts(world)[0].target == "/dev/pipes/E"


@pytest.mark.parametrize(
    ("mount", "why"),
    [
        ("type=secret,id=s,required", "secret s: not found"),
        ("type=ssh,target=/x", "mounts of type 'ssh' are not supported by this engine"),
        ("type=cache,target=/x,from=busybox,source=/file", "failed to mount /file: not a directory"),
        ("type=cache,target=/x,from=busybox,source=/none", "failed to mount /none: not found"),
        ("target=/x,source=none", "failed to mount none: not found"),
        ("target=/x,from=busybox,source=none", "failed to mount none: not found"),
        ("target=/x,from=7", "invalid from flag value 7: index out of bounds"),
    ],
)
async def test_what_is_refused(world: World, mount: str, why: str) -> None:
    await world.build(f"FROM busybox\nRUN --mount={mount} true\n")
    assert world.error == why
    assert world.containers.machines == {}
