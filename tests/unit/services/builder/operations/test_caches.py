from __future__ import annotations

import os

import pytest

from services.builder.adapters.mount_files import mount_files
from services.builder.adapters.spool import Spools
from services.builder.domain.tree import directory
from services.builder.operations import caches
from shared.contracts.builder import PruneRequest
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
    assert (await caches.prune(world.kernel, PruneRequest(), {"in use"})).removed == ()
    assert (await caches.prune(world.kernel, PruneRequest(filters={"until": ("50h",)}), set())).removed == (old.id,)
    assert (await caches.prune(world.kernel, PruneRequest(keep=100), set())).removed == ()
    with pytest.raises(InvalidArgument, match="invalid filter 'until=x'"):
        await caches.prune(world.kernel, PruneRequest(filters={"until": ("x",)}), set())
    done = await caches.prune(world.kernel, PruneRequest(all=True), set())
    assert (done.removed, done.bytes_freed) == ((new.id,), 100)
