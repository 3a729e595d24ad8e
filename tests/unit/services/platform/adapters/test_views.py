"""Views of real containers and of ones that do not run."""

from __future__ import annotations

import asyncio
import gc
import os
from pathlib import Path
from typing import Any

import pytest

from services.platform.adapters.launcher import roots_dir
from services.platform.adapters.views import View, Views
from shared.contracts.common import Mount
from shared.contracts.container import BindOptions, ImageOptions, MountPoint, MountRequest
from shared.contracts.platform import CreateRequest, FilesRequest
from shared.errors import InvalidArgument
from shared.paths import open_in_root
from tests.support.mounts import mounts_below
from tests.support.platform_host import Host, until


@pytest.fixture
def views(host: Host) -> Views:
    return Views(host.linux.workloads, host.linux._launcher, roots_dir(host.settings))


def files(request: CreateRequest, **more: object) -> FilesRequest:
    return FilesRequest(id=request.id, rootfs=request.rootfs, **more)  # type: ignore[arg-type]


def read(view: View, path: str) -> str:
    with open(open_in_root(view.root, path, os.O_RDONLY)) as file:
        return file.read()


def names(view: View, path: str) -> list[str]:
    folder = open_in_root(view.root, path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        return sorted(os.listdir(folder))
    finally:
        os.close(folder)


def write(view: View, path: str) -> None:
    os.close(open_in_root(view.root, path, os.O_WRONLY | os.O_CREAT, 0o644))


async def test_of_one_that_does_not_run(host: Host, views: Views, tmp_path: Path) -> None:
    (tmp_path / "volume").mkdir()
    (tmp_path / "volume/f").write_text("from the volume")
    (tmp_path / "hosts").write_text("127.0.0.1")
    points = (MountPoint(type="volume", source=str(tmp_path / "volume"), destination="/new/place"),)
    request = files(host.request("true"), mounts=points, files={"/etc/hosts": str(tmp_path / "hosts")})
    view = await views.use(request, lambda view: view)
    before = mounts_below(host.directory)
    assert (read(view, "/new/place/f"), read(view, "/etc/hosts")) == ("from the volume", "127.0.0.1")
    assert read(view, "/data/file") == "from the image"
    write(view, "/made")
    assert (host.directory / "layers" / request.id / "upper/made").exists()
    assert not [point for point in before if "place" in point or ".view" in point]
    view.close()
    view.close()


def of_image(host: Host, destination: str, subpath: str = "") -> dict[str, Any]:
    """Fields of a request that mount a part of the host's image."""
    asked = MountRequest(type="image", source="i", target=destination, image_options=ImageOptions(subpath=subpath))
    point = MountPoint(type="image", name="i", destination=destination, rw=False, spec=asked)
    bind = Mount(type="bind", source=f"{host.directory}/root", options=("bind", "ro"))
    return {"mounts": (point,), "images": {destination: (bind,)}}


async def test_images_are_seen_whether_it_runs_or_not(host: Host, views: Views) -> None:
    part = of_image(host, "/i", "data")
    for name in (host.request("true").id, await host.run("sleep", "100", **part)):
        root = host.request("true", name=name).rootfs
        view = await views.use(FilesRequest(id=name, rootfs=root, **part), lambda view: view)
        assert (names(view, "/i"), read(view, "/i/file")) == (["file", "sub"], "from the image")
        with pytest.raises(OSError, match="Read-only"):
            write(view, "/i/new")
        view.close()


async def test_of_one_that_runs_without_what_is_mounted_inside(host: Host, views: Views) -> None:
    name = await host.run("sh", "-c", "echo x >/tmp/x; echo y >/t/y; sleep 100", tmpfs={"/t": ""})
    code, _ = await host.ran(name, "sh", "-c", "while ! test -e /t/y; do :; done")
    assert code == 0
    view = await views.use(FilesRequest(id=name, rootfs=()), lambda view: view)
    assert (names(view, "/tmp"), names(view, "/t"), names(view, "/proc")) == (["x"], [], [])
    write(view, "/tmp/z")
    assert (await host.ran(name, "ls", "/tmp"))[1] == b"x\nz\n"
    view.close()


async def test_what_is_read_only_is_so_for_the_kernel(host: Host, views: Views, tmp_path: Path) -> None:
    points = (MountPoint(type="bind", source=str(tmp_path), destination="/ro", rw=False),)
    request = files(host.request("true"), mounts=points, readonly_rootfs=True)
    view = await views.use(request, lambda view: view)
    for path in ("/x", "/ro/x"):
        with pytest.raises(OSError, match="Read-only"):
            write(view, path)
    view.close()
    await host.service.create(host.request("true", name=request.id))  # its own root is as it was


async def test_a_link_where_a_mount_goes_leads_nowhere_else(host: Host, views: Views, tmp_path: Path) -> None:
    (tmp_path / "volume").mkdir()
    (tmp_path / "volume/f").touch()
    request = host.request("true")
    upper = host.directory / "layers" / request.id / "upper"
    (upper / "way").symlink_to("../../../../../../tmp")
    points = (MountPoint(type="bind", source=str(tmp_path / "volume"), destination="/way/in"),)
    view = await views.use(files(request, mounts=points), lambda view: view)
    assert names(view, "/tmp/in") == ["f"]
    view.close()
    assert not Path("/tmp/in").exists()


async def test_a_mount_that_is_not_recursive(host: Host, views: Views, tmp_path: Path) -> None:
    spec = MountRequest(type="bind", bind_options=BindOptions(non_recursive=True))
    points = (MountPoint(type="bind", source="/proc", destination="/p", spec=spec),)
    view = await views.use(files(host.request("true"), mounts=points), lambda view: view)
    assert "self" in names(view, "/p")
    view.close()


async def test_what_cannot_be_mounted(host: Host, views: Views, tmp_path: Path) -> None:
    missing = (MountPoint(type="bind", source=str(tmp_path / "nope"), destination="/x"),)
    with pytest.raises(InvalidArgument, match="at /x: No such file or directory"):
        await views.use(files(host.request("true"), mounts=missing), lambda view: view)
    descriptors = len(os.listdir("/proc/self/fd"))
    with pytest.raises(ZeroDivisionError):
        await views.use(files(host.request("true")), lambda view: view.root // 0)
    assert len(os.listdir("/proc/self/fd")) == descriptors


async def test_of_one_whose_monitor_was_killed(host: Host, views: Views) -> None:
    name = await host.run("sleep", "100")
    os.kill(host.linux.workloads.get(name).record.monitor, 9)
    await until(lambda: not host.linux.workloads.get(name).monitored)
    view = await views.use(FilesRequest(id=name, rootfs=()), lambda view: view)
    assert read(view, "/data/file") == "from the image"
    view.close()


async def test_one_that_nobody_took_goes_by_itself(host: Host, views: Views) -> None:
    descriptors = len(os.listdir("/proc/self/fd"))
    asking = asyncio.get_running_loop().create_task(views.use(files(host.request("true")), lambda view: view))
    await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    await views.use(files(host.request("true")), View.close)  # another work in the same threads
    gc.collect()
    await until(lambda: len(os.listdir("/proc/self/fd")) <= descriptors)
