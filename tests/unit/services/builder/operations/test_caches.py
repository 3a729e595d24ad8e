from __future__ import annotations

import os
from pathlib import Path

import pytest

from services.builder.adapters.mount_files import MountFiles, mount_files
from services.builder.adapters.spool import Spools
from services.builder.domain.tree import directory
from services.builder.operations import caches
from shared.contracts.builder import PruneRequest
from shared.contracts.common import PruneReport
from shared.errors import InvalidArgument
from tests.support.builder_world import World


async def test_what_caches_take_and_their_end(world: World, spools: Spools) -> None:
    files = mount_files(world.kernel)
    for age, name in ((100, "old"), (10, "new")):
        path = files.cache(name, directory(), spools)
        (path / "f").write_bytes(b"x" * 100)
        now = os.stat(path).st_mtime
        os.utime(path, (now - age * 3600, now - age * 3600))
    old, new = (await caches.usage(world.kernel)).entries
    assert (old.size, new.size, old.used < new.used) == (100, 100, True)
    assert (await prune(world, PruneRequest(), busy=True)).removed == ()
    assert (await prune(world, PruneRequest(filters={"until": ("50h",)}))).removed == (old.id,)
    assert (await prune(world, PruneRequest(keep=100))).removed == ()
    with pytest.raises(InvalidArgument, match="invalid filter 'until=x'"):
        await prune(world, PruneRequest(filters={"until": ("x",)}))
    assert (await prune(world, PruneRequest(filters={"label": ("x",)}))).removed == ()
    done = await prune(world, PruneRequest(all=True, filters={"label!": ("x",)}))
    assert (done.removed, done.bytes_freed) == ((new.id,), 100)


async def prune(world: World, request: PruneRequest, busy: bool = False) -> PruneReport:
    return await caches.prune(world.kernel, request, lambda: busy)


async def test_what_a_step_takes_while_caches_are_removed_stays(
    world: World, spools: Spools, monkeypatch: pytest.MonkeyPatch
) -> None:
    files, remove, mounted = mount_files(world.kernel), MountFiles.remove, list[Path]()
    paths = {files.cache(name, directory(), spools) for name in ("a", "b")}

    def step_begins(files: MountFiles, path: Path) -> None:
        monkeypatch.setattr(MountFiles, "remove", remove)
        mounted.extend(files.cache(name, directory(), spools) for name in ("a", "b"))
        files.remove(path)

    monkeypatch.setattr(MountFiles, "remove", step_begins)
    assert len((await caches.prune(world.kernel, PruneRequest(), lambda: bool(mounted))).removed) == 1
    assert set(files.caches()) == set(mounted) == paths
