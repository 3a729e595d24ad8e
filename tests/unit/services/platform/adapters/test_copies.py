"""Copies through the service's endpoints, of real containers."""

from __future__ import annotations

import asyncio
import io
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest

from shared.contracts import platform
from shared.contracts.common import Ref, StreamOffer
from shared.contracts.container import MountPoint
from shared.contracts.platform import CreateRequest, FilesRequest, WriteRequest
from shared.errors import InvalidArgument, NotFound
from tests.support.platform_host import Host, everything
from tools.images import directory, entry, tar


def files(request: CreateRequest, path: str = "/", **more: Any) -> FilesRequest:
    return FilesRequest(id=request.id, rootfs=request.rootfs, path=path, **more)


async def read(host: Host, request: FilesRequest) -> dict[str, tarfile.TarInfo]:
    reply = await host.service.read_archive(request)
    data = await everything(await host.kernel.streams.take(reply.offer))
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return {member.name: member for member in archive}


async def put(host: Host, request: CreateRequest, path: str, data: bytes, **more: Any) -> bytes:
    asked = WriteRequest(id=request.id, rootfs=request.rootfs, path=path, **more)
    return await send(host, await host.service.write_archive(asked), data)


async def send(host: Host, offer: StreamOffer, data: bytes) -> bytes:
    channel = await host.kernel.streams.take(offer)
    await channel.write(data)
    await channel.write_eof()
    return await everything(channel)


async def test_the_status_of_what_is_there(host: Host) -> None:
    request = host.request("true")
    upper = host.directory / "layers" / request.id / "upper"
    (upper / "link").symlink_to("/data/../data/file")
    (upper / "loop").symlink_to("loop")
    found = await host.service.stat_path(files(request, "/data/file"))
    assert (found.name, found.size, found.mode & 0o170000) == ("file", 14, 0o100000)
    link = await host.service.stat_path(files(request, "link"))
    assert (link.name, link.link_target, link.mode & 0o170000) == ("link", "/data/file", 0o120000)
    folder = await host.service.stat_path(files(request, "/data/."))
    assert (folder.name, folder.link_target) == (".", "")
    for path, error, text in (
        ("/nope", NotFound, "Could not find the file /nope"),
        ("/link/", InvalidArgument, "lstat /link/: not a directory"),
        ("/loop", InvalidArgument, "too many links in /loop"),
        ("/loop/x", InvalidArgument, "too many links in /loop/x"),
    ):
        with pytest.raises(error, match=text):
            await host.service.stat_path(files(request, path))


async def test_names_in_the_archive(host: Host) -> None:
    request = host.request("true")
    os.link(host.directory / "root/data/file", host.directory / "root/data/hard")
    assert list(await read(host, files(request, "/data"))) == ["data", "data/file", "data/hard", "data/sub"]
    found = await read(host, files(request, "/data/."))
    assert list(found) == [".", "./file", "./hard", "./sub"]
    assert found["./hard"].linkname == "./file"
    assert list(await read(host, files(request, "/data/sub/../file"))) == ["file"]
    root = await read(host, files(request, "/"))
    assert {"", "/data", "/data/file"} < set(root)


async def test_volumes_are_in_archives_and_not_in_the_export(host: Host, tmp_path: Path) -> None:
    (tmp_path / "f").touch()
    request = host.request("true")
    points = (MountPoint(type="volume", source=str(tmp_path), destination="/data"),)
    assert list(await read(host, files(request, "/data", mounts=points))) == ["data", "data/f"]
    transferred: asyncio.Future[platform.Transferred] = asyncio.get_running_loop().create_future()

    async def told(message: platform.Transferred) -> None:
        transferred.set_result(message)

    await host.kernel.bus.listen(platform.TRANSFERRED, told)
    data = await everything(await host.kernel.streams.take(await host.service.export(files(request))))
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        names = archive.getnames()
    assert {"data/file", "bin/busybox"} < set(names)
    assert "data/f" not in names
    assert (await transferred).action == "export"


async def test_an_archive_goes_in_and_is_told(host: Host) -> None:
    request = host.request("true")
    told: list[str] = []

    async def heard(message: platform.Transferred) -> None:
        told.append(message.action)

    await host.kernel.bus.listen(platform.TRANSFERRED, heard)
    data = tar([directory("d"), entry("d/f", b"1", uid=3)])
    assert await put(host, request, "/data", data) == b"{}\n"
    upper = host.directory / "layers" / request.id / "upper"
    assert ((upper / "data/d/f").read_bytes(), (upper / "data/d/f").stat().st_uid) == (b"1", 3)
    assert await put(host, request, "/tmp", data, owner="alice:staff") == b"{}\n"
    assert ((upper / "tmp/d/f").stat().st_uid, (upper / "tmp/d/f").stat().st_gid) == (1000, 50)
    answer = await put(host, request, "/data", tar([entry("d", b"")]), no_overwrite_dir_non_dir=True)
    assert b"cannot overwrite directory" in answer
    assert told == ["extract-to-dir"] * 2


async def test_where_nothing_can_be_written(host: Host, tmp_path: Path) -> None:
    request = host.request("true")
    points = (MountPoint(type="bind", source=str(tmp_path), destination="/data", rw=False),)
    for path, more, error, text in (
        ("/nope", {}, NotFound, "Could not find the file /nope"),
        ("/etc/passwd", {}, InvalidArgument, "extraction point is not a directory"),
        ("/data", {"mounts": points}, InvalidArgument, "mounted volume is marked read-only"),
        ("/etc", {"readonly_rootfs": True}, InvalidArgument, "container rootfs is marked read-only"),
        ("/etc", {"owner": "nobody-there"}, InvalidArgument, "nobody-there"),
    ):
        with pytest.raises(error, match=text):
            await put(host, request, path, b"", **more)


async def test_a_start_waits_for_what_is_being_written(host: Host) -> None:
    request = host.request("sh", "-c", "cat /data/f")
    asked = WriteRequest(id=request.id, rootfs=request.rootfs, path="/data")
    offer = await host.service.write_archive(asked)
    creating = asyncio.get_running_loop().create_task(host.service.create(request))
    await asyncio.sleep(0)
    assert not creating.done()
    assert await send(host, offer, tar([entry("f", b"in time")])) == b"{}\n"
    await creating
    await host.service.start(Ref(id=request.id))
    await host.exited(request.id)
    assert [data for _, data in await host.logs(request.id)] == [b"in time"]


async def test_a_reader_that_goes_leaves_nothing(host: Host) -> None:
    request = host.request("true")
    with open(host.directory / "layers" / request.id / "upper" / "big", "wb") as file:
        file.truncate(1 << 30)
    before = len(os.listdir("/proc/self/fd"))
    reply = await host.service.read_archive(files(request, "/big"))
    channel = await host.kernel.streams.take(reply.offer)
    assert await channel.read()
    channel.close()
    while len(os.listdir("/proc/self/fd")) > before:  # noqa: ASYNC110 - there is no event to wait for
        await asyncio.sleep(0.005)


async def test_what_cannot_be_read_to_its_end_has_no_end(host: Host) -> None:
    request = host.request("true")
    held = os.open(host.directory / "layers" / request.id / "upper", os.O_RDONLY)
    for _ in range(20):
        os.mkdir("d" * 250, dir_fd=held)
        inner = os.open("d" * 250, os.O_RDONLY, dir_fd=held)
        os.close(held)
        held = inner
    os.close(held)
    channel = await host.kernel.streams.take(await host.service.export(files(request)))
    with pytest.raises(ConnectionResetError):
        await everything(channel)
    channel.close()
