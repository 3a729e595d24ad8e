"""Images mounted in real containers."""

from __future__ import annotations

from typing import Any

import pytest

from services.platform.adapters.launcher import roots_dir
from shared.contracts.common import Mount
from shared.contracts.container import ImageOptions, MountPoint, MountRequest
from shared.errors import InvalidArgument
from tests.support.mounts import mounts_below
from tests.support.platform_host import Host


def of_image(host: Host, **parts: str) -> dict[str, Any]:
    """Fields of a request that mount parts of the host's image, each at `/<name>`."""
    points = tuple(
        MountPoint(
            type="image",
            name="i",
            destination=f"/{name}",
            rw=False,
            spec=MountRequest(type="image", source="i", target=f"/{name}", image_options=ImageOptions(subpath=part)),
        )
        for name, part in parts.items()
    )
    bind = Mount(type="bind", source=f"{host.directory}/root", options=("bind", "ro"))
    return {"mounts": points, "images": {point.destination: (bind,) for point in points}}


def places(host: Host) -> list[str]:
    return [each.name for each in roots_dir(host.settings).glob("*.images")]


async def test_the_whole_a_folder_and_a_file(host: Host) -> None:
    fields = of_image(host, whole="", folder="data", file="data/file")
    script = "cat /whole/data/file /folder/file /file; touch /whole/x /folder/x; echo x >/file"
    name = await host.run("sh", "-c", script, **fields)
    assert await host.code(name) == 1
    said = b"".join(data for _, data in await host.logs(name)).decode()
    assert "from the image" * 3 in said
    assert said.count("Read-only file system") == 3
    assert not [point for point in mounts_below(host.directory) if ".images" in point]
    assert places(host) == [f"{name}.images"]


async def test_links_of_the_image_lead_to_the_image(host: Host) -> None:
    (host.directory / "root/out").symlink_to("/etc")
    name = await host.run("cat", "/i/group", **of_image(host, i="out"))
    await host.exited(name)
    assert b"".join(data for _, data in await host.logs(name)).startswith(b"root:x:0:\nalice:x:1000:")


async def test_a_part_that_is_not_there(host: Host) -> None:
    request = host.request("true", **of_image(host, good="data", bad="nope"))
    with pytest.raises(InvalidArgument, match="cannot access path nope in image i: No such file or directory"):
        await host.service.create(request)
    assert places(host) == []
