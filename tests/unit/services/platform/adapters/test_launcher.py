"""Threads with mount namespaces of their own: nothing they mount is seen elsewhere, or stays."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from services.platform.adapters import launcher
from services.platform.adapters.launcher import Launcher
from shared import hostmounts
from shared.config import Settings
from tests.support.process import running


def namespace() -> str:
    return os.readlink("/proc/thread-self/ns/mnt")


@pytest.fixture
async def threads() -> AsyncIterator[Launcher]:
    made = Launcher(launcher.is_hybrid())
    yield made
    made.close()


@pytest.fixture
def private(directory: Path) -> Iterator[Path]:
    """A folder whose mounts no other namespace sees."""
    made = directory / "private"
    launcher.ensure_private(made)
    yield made
    hostmounts.drop_shared(made)


async def test_each_work_has_a_namespace_of_its_own(threads: Launcher) -> None:
    found = await asyncio.gather(*(threads.fresh(namespace) for _ in range(4)))
    assert namespace() not in found
    assert await threads.plain(namespace) == namespace()


async def test_what_is_mounted_below_a_private_folder_goes_with_the_namespace(threads: Launcher, private: Path) -> None:
    target = private / "target"
    target.mkdir()

    def work() -> bool:
        hostmounts.mount("none", target, "tmpfs")
        (target / "inside").touch()
        return os.path.ismount(target)

    assert await threads.fresh(work)
    assert not os.path.ismount(target)
    assert list(target.iterdir()) == []
    os.rmdir(target)


async def test_a_failure_brings_the_thread_back(threads: Launcher) -> None:
    def fail() -> None:
        raise ValueError("x")

    for _ in range(2 * launcher.THREADS):
        with pytest.raises(ValueError, match="x"):
            await threads.fresh(fail)
    assert await threads.plain(namespace) == namespace()


async def test_work_beside_a_process_sees_what_it_sees(threads: Launcher, directory: Path) -> None:
    script = f"mount -t tmpfs x {directory}; echo; exec sleep 100"
    with running(["unshare", "-m", "sh", "-c", script], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        assert await threads.beside(child.pid, lambda: os.path.ismount(directory))
        assert not await threads.plain(lambda: os.path.ismount(directory))
    with pytest.raises(ProcessLookupError):
        await threads.beside(child.pid, namespace)


async def test_a_hybrid_host_shows_one_kind_of_cgroups_only(threads: Launcher) -> None:
    hidden = await threads.fresh(lambda: (launcher.UNIFIED / "cgroup.controllers").exists())
    assert not (hidden and launcher.is_hybrid())


def test_a_folder_below_a_shared_mount_is_made_private(directory: Path) -> None:
    outer, inner = directory / "outer", directory / "outer/inner"
    outer.mkdir()
    hostmounts.ensure_shared(outer)
    try:
        launcher.ensure_private(inner)
        launcher.ensure_private(inner)
        assert hostmounts.mount_of(inner) == (os.path.realpath(inner), False, False)
        assert Path("/proc/self/mountinfo").read_text().count(f" {os.path.realpath(inner)} ") == 1
    finally:
        hostmounts.drop_shared(inner)
        hostmounts.drop_shared(outer)
    assert launcher.roots_dir(Settings(run_dir="/r")) == Path("/r/platform/roots")
